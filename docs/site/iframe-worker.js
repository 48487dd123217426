// Browsers start no worker from a file on a disk. There a hidden frame does its work: the search.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.frame.srcdoc = "<!doctype html><title>search</title>"
      this.started = new Promise((started, failed) => {
        this.frame.onload = () => {
          const inside = this.frame.contentWindow
          inside.postMessage = data => queueMicrotask(() => this.onmessage?.({ data: structuredClone(data) }))
          const script = inside.document.createElement("script")
          script.onload = () => started(inside)
          script.onerror = failed
          script.src = url
          inside.document.body.append(script)
        }
      })
      this.started.catch(error => this.onerror?.(error))
      document.body.append(this.frame)
    }

    postMessage(data) {
      this.started.then(inside => inside.onmessage({ data: structuredClone(data) }), () => {})
    }

    terminate() {
      this.frame.remove()
    }
  }
}
