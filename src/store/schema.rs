//! The tables as the query builder sees them; the migrations create them.
//!
//! Not here: indexes and constraints (see `migrations/`).

diesel::table! {
    resource (resource_type, id) {
        resource_type -> Text,
        id -> Text,
        version -> BigInt,
        updated_us -> BigInt,
        deleted -> Bool,
        body -> Text,
        family -> Nullable<Text>,
        given -> Nullable<Text>,
        birth_lo -> Nullable<Integer>,
        birth_hi -> Nullable<Integer>,
        identifier_system -> Nullable<Text>,
        identifier_value -> Nullable<Text>,
    }
}

diesel::table! {
    resource_history (resource_type, id, version) {
        resource_type -> Text,
        id -> Text,
        version -> BigInt,
        updated_us -> BigInt,
        deleted -> Bool,
        body -> Text,
    }
}

diesel::table! {
    search_value (resource_type, parameter, value, system, id) {
        resource_type -> Text,
        parameter -> Text,
        value -> Text,
        system -> Text,
        id -> Text,
    }
}

diesel::table! {
    identity (id) {
        id -> Text,
        created_us -> BigInt,
    }
}

diesel::table! {
    record (id) {
        id -> Text,
        version -> BigInt,
        normaliser -> Integer,
        features -> Binary,
        identity_id -> Text,
        model_version -> Text,
        probability -> Nullable<Double>,
        assigned_us -> BigInt,
        verification_level -> Nullable<Text>,
        verified_on -> Nullable<Text>,
        replaced_by -> Nullable<Text>,
    }
}

diesel::table! {
    review (record_id, identity_id) {
        record_id -> Text,
        identity_id -> Text,
        probability -> Double,
        created_us -> BigInt,
        model_version -> Text,
    }
}

diesel::table! {
    change (seq) {
        seq -> BigInt,
        record_id -> Text,
    }
}

diesel::table! {
    audit (seq) {
        seq -> BigInt,
        at_us -> BigInt,
        request_id -> Text,
        action -> Text,
        outcome -> Text,
        caller -> Text,
        resource_type -> Nullable<Text>,
        detail -> Text,
    }
}

diesel::table! {
    load_progress (key) {
        key -> Text,
        lines -> BigInt,
        bytes -> BigInt,
        loaded -> BigInt,
        rejected -> BigInt,
        updated_us -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(resource, record, change, identity);
