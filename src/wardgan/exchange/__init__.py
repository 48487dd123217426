"""Synthetic patients in the forms that clinical software reads: FHIR R4 and the OMOP common data model 5.4."""
