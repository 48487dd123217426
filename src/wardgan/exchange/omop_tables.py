"""The tables of the OMOP common data model 5.4 that are written, field by field.

Source: OHDSI, OMOP common data model v5.4, https://ohdsi.github.io/CommonDataModel/cdm54.html.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

# A field is id (whole number), date, time, number or text with its longest length; a star stands behind needed ones.
_WHERE: Final = "provider_id:id visit_occurrence_id:id visit_detail_id:id"
_FIELDS: Final = {
    "person": (
        "person_id:id* gender_concept_id:id* year_of_birth:id* month_of_birth:id day_of_birth:id birth_datetime:time "
        "race_concept_id:id* ethnicity_concept_id:id* location_id:id provider_id:id care_site_id:id "
        "person_source_value:text50 gender_source_value:text50 gender_source_concept_id:id race_source_value:text50 "
        "race_source_concept_id:id ethnicity_source_value:text50 ethnicity_source_concept_id:id"
    ),
    "observation_period": (
        "observation_period_id:id* person_id:id* observation_period_start_date:date* "
        "observation_period_end_date:date* period_type_concept_id:id*"
    ),
    "visit_occurrence": (
        "visit_occurrence_id:id* person_id:id* visit_concept_id:id* visit_start_date:date* visit_start_datetime:time "
        "visit_end_date:date* visit_end_datetime:time visit_type_concept_id:id* provider_id:id care_site_id:id "
        "visit_source_value:text50 visit_source_concept_id:id admitted_from_concept_id:id "
        "admitted_from_source_value:text50 discharged_to_concept_id:id discharged_to_source_value:text50 "
        "preceding_visit_occurrence_id:id"
    ),
    "condition_occurrence": (
        "condition_occurrence_id:id* person_id:id* condition_concept_id:id* condition_start_date:date* "
        "condition_start_datetime:time condition_end_date:date condition_end_datetime:time "
        "condition_type_concept_id:id* condition_status_concept_id:id stop_reason:text20 "
        f"{_WHERE} condition_source_value:text50 condition_source_concept_id:id condition_status_source_value:text50"
    ),
    "drug_exposure": (
        "drug_exposure_id:id* person_id:id* drug_concept_id:id* drug_exposure_start_date:date* "
        "drug_exposure_start_datetime:time drug_exposure_end_date:date* drug_exposure_end_datetime:time "
        "verbatim_end_date:date drug_type_concept_id:id* stop_reason:text20 refills:id quantity:number days_supply:id "
        f"sig:text route_concept_id:id lot_number:text50 {_WHERE} drug_source_value:text50 drug_source_concept_id:id "
        "route_source_value:text50 dose_unit_source_value:text50"
    ),
    "measurement": (
        "measurement_id:id* person_id:id* measurement_concept_id:id* measurement_date:date* measurement_datetime:time "
        "measurement_time:text10 measurement_type_concept_id:id* operator_concept_id:id value_as_number:number "
        f"value_as_concept_id:id unit_concept_id:id range_low:number range_high:number {_WHERE} "
        "measurement_source_value:text50 measurement_source_concept_id:id unit_source_value:text50 "
        "unit_source_concept_id:id value_source_value:text50 measurement_event_id:id meas_event_field_concept_id:id"
    ),
    "observation": (
        "observation_id:id* person_id:id* observation_concept_id:id* observation_date:date* observation_datetime:time "
        "observation_type_concept_id:id* value_as_number:number value_as_string:text60 value_as_concept_id:id "
        f"qualifier_concept_id:id unit_concept_id:id {_WHERE} observation_source_value:text50 "
        "observation_source_concept_id:id unit_source_value:text50 qualifier_source_value:text50 "
        "value_source_value:text50 observation_event_id:id obs_event_field_concept_id:id"
    ),
    "death": (
        "person_id:id* death_date:date* death_datetime:time death_type_concept_id:id cause_concept_id:id "
        "cause_source_value:text50 cause_source_concept_id:id"
    ),
    "cdm_source": (
        "cdm_source_name:text255* cdm_source_abbreviation:text25* cdm_holder:text255* source_description:text "
        "source_documentation_reference:text255 cdm_etl_reference:text255 source_release_date:date* "
        "cdm_release_date:date* cdm_version:text10 cdm_version_concept_id:id* vocabulary_version:text20*"
    ),
}  # fmt: skip
_TYPES: Final = {"id": pa.int64(), "date": pa.date32(), "time": pa.timestamp("s"), "number": pa.float64()}
TABLES: Final = tuple(_FIELDS)


def _schema(fields: str) -> pa.Schema:
    found: list[pa.Field] = []
    for field in fields.split():
        name, _, kind = field.partition(":")
        plain = kind.removesuffix("*")
        found.append(pa.field(name, _TYPES.get(plain, pa.string()), nullable=not kind.endswith("*")))
    return pa.schema(found)


SCHEMAS: Final = {name: _schema(fields) for name, fields in _FIELDS.items()}
