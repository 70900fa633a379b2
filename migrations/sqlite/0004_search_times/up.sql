-- What ends after a moment is found by its end; the key has what begins before one.
CREATE INDEX search_date_end ON search_date (parameter, hi_us, lo_us, number);

-- AuditEvents are searched and paged by time.
CREATE INDEX audit_at ON audit (at_us, seq);

-- What the query planner should believe (see the first migration).
DELETE FROM sqlite_stat1 WHERE tbl = 'audit';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('audit', 'audit_at', '1000000 1 1'),
    ('search_date', 'search_date_end', '1000000 1000000 40 40 1');
