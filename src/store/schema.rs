//! The tables as the query builder sees them; the migrations create them.
//!
//! Not here: indexes and constraints (see `migrations/`).

diesel::table! {
    resource (number) {
        number -> BigInt,
        resource_type -> Text,
        id -> Text,
        version -> BigInt,
        updated_us -> BigInt,
        deleted -> Bool,
        search_version -> Integer,
        body -> Text,
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
    search_string (parameter, value, number, exact) {
        parameter -> SmallInt,
        value -> Text,
        number -> BigInt,
        exact -> Text,
    }
}

diesel::table! {
    search_token (parameter, value, system, number) {
        parameter -> SmallInt,
        value -> Text,
        system -> Text,
        number -> BigInt,
    }
}

diesel::table! {
    search_date (parameter, lo_us, hi_us, number) {
        parameter -> SmallInt,
        lo_us -> BigInt,
        hi_us -> BigInt,
        number -> BigInt,
    }
}

diesel::table! {
    secret (name) {
        name -> Text,
        value -> Binary,
        created_us -> BigInt,
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
        decision_id -> Nullable<Text>,
    }
}

diesel::table! {
    review (record_id, identity_id) {
        record_id -> Text,
        identity_id -> Text,
        probability -> Double,
        created_us -> BigInt,
        model_version -> Text,
        state -> Text,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    change (seq) {
        seq -> BigInt,
        record_id -> Text,
        binds -> Bool,
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
    audit_seal (number) {
        number -> BigInt,
        previous -> Text,
        first_seq -> BigInt,
        last_seq -> BigInt,
        row_count -> BigInt,
        missing -> Text,
        late -> Text,
        rows_sha256 -> Text,
        sealed_us -> BigInt,
        digest -> Text,
        key_id -> Nullable<Text>,
        mac -> Nullable<Text>,
    }
}

diesel::table! {
    audit_subject (subject, seq) {
        subject -> Text,
        seq -> BigInt,
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

diesel::table! {
    export_job (id) {
        id -> Text,
        caller -> Text,
        level -> Text,
        request -> Text,
        resource_types -> Text,
        since_us -> Nullable<BigInt>,
        at_us -> BigInt,
        last_number -> BigInt,
        remarks -> Text,
        state -> Text,
        permille -> Integer,
        worker -> Nullable<Text>,
        heartbeat_us -> BigInt,
        attempts -> Integer,
        created_us -> BigInt,
        expires_us -> BigInt,
        labels -> Text,
    }
}

diesel::table! {
    export_part (job_id, part) {
        job_id -> Text,
        part -> Integer,
        content -> Text,
        resource_type -> Text,
        after_number -> BigInt,
        last_number -> BigInt,
        resources -> BigInt,
    }
}

diesel::table! {
    steward_decision (id) {
        id -> Text,
        kind -> Text,
        reason -> Text,
        decided_by -> Text,
        decided_us -> BigInt,
        detail -> Text,
        revoked_by -> Nullable<Text>,
        revoked_us -> Nullable<BigInt>,
        revoked_reason -> Nullable<Text>,
    }
}

diesel::table! {
    record_constraint (record_a, record_b, kind, decision_id) {
        record_a -> Text,
        record_b -> Text,
        kind -> Text,
        decision_id -> Text,
        created_us -> BigInt,
    }
}

diesel::table! {
    identity_history (seq) {
        seq -> BigInt,
        record_id -> Text,
        identity_id -> Text,
        model_version -> Text,
        probability -> Nullable<Double>,
        assigned_us -> BigInt,
        decision_id -> Nullable<Text>,
        until_us -> BigInt,
    }
}

diesel::table! {
    merged_identity (id) {
        id -> Text,
        survivor_id -> Text,
        merged_us -> BigInt,
    }
}

diesel::table! {
    block_key (key, number) {
        key -> BigInt,
        number -> BigInt,
    }
}

diesel::table! {
    block_record (number) {
        number -> BigInt,
        record_id -> Text,
        keys -> Binary,
    }
}

diesel::table! {
    block_state (one) {
        one -> Integer,
        derivation -> Integer,
        seq -> BigInt,
        filled_to -> Nullable<Text>,
    }
}

diesel::table! {
    client (client_id) {
        client_id -> Text,
        kind -> Text,
        state -> Text,
        community -> Text,
        issuer -> Text,
        name -> Text,
        grant_types -> Text,
        scope -> Text,
        registration -> Text,
        certifications -> Text,
        certificate -> Nullable<Text>,
        anchor_sha256 -> Nullable<Text>,
        jwks -> Nullable<Text>,
        jwks_url -> Nullable<Text>,
        created_us -> BigInt,
        updated_us -> BigInt,
        auth_method -> Text,
        redirect_uris -> Text,
        logout_uris -> Text,
        origins -> Text,
        compatibility -> Text,
    }
}

diesel::table! {
    replay (issuer, token_id) {
        issuer -> Text,
        token_id -> Text,
        expires_us -> BigInt,
    }
}

diesel::table! {
    access_token (token_id) {
        token_id -> Text,
        client_id -> Text,
        issued_us -> BigInt,
        expires_us -> BigInt,
        revoked_us -> Nullable<BigInt>,
        context -> Nullable<Binary>,
        grant_sha256 -> Nullable<Text>,
        family_id -> Nullable<Text>,
    }
}

diesel::table! {
    restricted_version (resource_type, id, version) {
        resource_type -> Text,
        id -> Text,
        version -> BigInt,
    }
}

diesel::table! {
    token_family (family_id) {
        family_id -> Text,
        client_id -> Text,
        account_id -> Text,
        content -> Binary,
        created_us -> BigInt,
        expires_us -> BigInt,
        revoked_us -> Nullable<BigInt>,
    }
}

diesel::table! {
    authorization_code (code) {
        code -> Text,
        client_id -> Text,
        account_id -> Text,
        family_id -> Text,
        content -> Binary,
        expires_us -> BigInt,
        used_us -> Nullable<BigInt>,
    }
}

diesel::table! {
    refresh_token (token) {
        token -> Text,
        family_id -> Text,
        issued_us -> BigInt,
        expires_us -> BigInt,
        used_us -> Nullable<BigInt>,
    }
}

diesel::table! {
    consent (account_id, client_id) {
        account_id -> Text,
        client_id -> Text,
        scope -> Text,
        granted_us -> BigInt,
    }
}

diesel::table! {
    budget (budget_key) {
        budget_key -> Binary,
        full_us -> BigInt,
    }
}

diesel::table! {
    signing_key (kid) {
        kid -> Text,
        sealed_by -> Text,
        private_key -> Text,
        created_us -> BigInt,
        retired_us -> Nullable<BigInt>,
        algorithm -> Text,
    }
}

diesel::table! {
    person_account (account_id) {
        account_id -> Text,
        login -> Text,
        kind -> Text,
        state -> Text,
        password_hash -> Text,
        totp_secret -> Text,
        totp_step -> BigInt,
        level -> Text,
        verified_on -> Text,
        attributes -> Text,
        identity_id -> Nullable<Text>,
        created_us -> BigInt,
        updated_us -> BigInt,
    }
}

diesel::table! {
    session (token_sha256) {
        token_sha256 -> Text,
        account_id -> Text,
        identity_level -> Text,
        authentication_level -> Text,
        methods -> Text,
        signed_in_us -> BigInt,
        seen_us -> BigInt,
        expires_us -> BigInt,
    }
}

diesel::table! {
    sign_in_attempt (key) {
        key -> Text,
        failures -> BigInt,
        last_us -> BigInt,
        next_us -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(resource, record, change, identity, block_record);
diesel::allow_tables_to_appear_in_same_query!(access_token, client, token_family);
diesel::allow_tables_to_appear_in_same_query!(refresh_token, token_family);
diesel::allow_tables_to_appear_in_same_query!(audit, audit_subject);
diesel::allow_tables_to_appear_in_same_query!(session, person_account);

#[diesel::declare_sql_function]
extern "SQL" {
    /// Bytes of a text; for it neither database reads the text.
    fn octet_length(text: diesel::sql_types::Text) -> diesel::sql_types::Integer;
}
