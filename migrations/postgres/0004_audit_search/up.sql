-- AuditEvents are searched and paged by time.
CREATE INDEX audit_at ON audit (at_us, seq);
