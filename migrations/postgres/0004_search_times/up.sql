-- What ends after a moment is found by its end; the key has what begins before one.
CREATE INDEX search_date_end ON search_date (parameter, hi_us, lo_us, number);

-- AuditEvents are searched and paged by time.
CREATE INDEX audit_at ON audit (at_us, seq);
