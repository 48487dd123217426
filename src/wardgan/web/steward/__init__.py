"""The steward's pages: from a file of patients to a published generator, on the machine where the patients are."""
