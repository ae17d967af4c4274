package pg_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/pg"
)

func TestADatabaseOnAnotherMachineIsReachedByTLSOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url      string
		refused  bool
		mayPlain bool
	}{
		{"postgres://u:p@db.example.com/postgres", false, false},
		{"postgres://u:p@db.example.com/postgres?sslmode=prefer", false, false},
		{"postgres://u:p@db.example.com/postgres?sslmode=allow", false, false},
		{"postgres://u:p@db.example.com/postgres?sslmode=require", false, false},
		{"postgres://u:p@db.example.com/postgres?sslmode=verify-full", false, false},
		{"postgres://u:p@10.0.0.7/postgres?sslmode=disable", true, false},
		{"postgres://u:secret@db.example.com/postgres?sslmode=disable", true, false},
		{"postgres://u:p@127.0.0.1,db.example.com/postgres?sslmode=prefer", false, true},
		{"postgres://u:p@127.0.0.1:5432/postgres", false, true},
		{"postgres://u:p@localhost/postgres?sslmode=disable", false, true},
		{"postgres://u:p@[::1]/postgres?sslmode=disable", false, true},
		{"host=/var/run/postgresql user=u dbname=postgres", false, true},
	} {
		cfg, err := pgx.ParseConfig(c.url)
		if err != nil {
			t.Fatalf("%s: %v", c.url, err)
		}
		err = pg.DemandTLS(&cfg.Config)
		if (err != nil) != c.refused || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want refused %v", c.url, err, c.refused)
			continue
		}
		if c.refused {
			continue
		}
		remote := func(host string) bool { return strings.HasSuffix(host, ".com") || strings.HasPrefix(host, "10.") }
		plain := cfg.TLSConfig == nil
		if plain && remote(cfg.Host) {
			t.Errorf("%s: plain text to %s is tried", c.url, cfg.Host)
		}
		for _, f := range cfg.Fallbacks {
			if f.TLSConfig == nil && remote(f.Host) {
				t.Errorf("%s: plain text to %s is a fallback", c.url, f.Host)
			}
			plain = plain || f.TLSConfig == nil
		}
		if plain != c.mayPlain {
			t.Errorf("%s: plain text on this machine possible %v, want %v", c.url, plain, c.mayPlain)
		}
	}
}
