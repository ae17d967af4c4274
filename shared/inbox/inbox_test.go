package inbox_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

func TestOfManyTwinsOneIsFirst(t *testing.T) {
	t.Parallel()
	db, made := open(t)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
				first, err := inbox.First(t.Context(), tx, "c", "k", "contact/1")
				if err != nil || !first {
					return err
				}
				_, err = tx.Exec(t.Context(), `UPDATE gv.stage_values SET value_minor = value_minor + 1 WHERE stage_name = 'lead'`)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var effects int
	if err := made.Admin(t).QueryRow(t.Context(), `SELECT value_minor FROM gv.stage_values WHERE tenant_id = $1 AND stage_name = 'lead'`, tenantA).Scan(&effects); err != nil || effects != 1 {
		t.Errorf("%d effects, %v", effects, err)
	}
}

func TestWorkThatFailedIsDoneByTheNext(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	boom := errors.New("boom")
	err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
		if first, err := inbox.First(t.Context(), tx, "c", "k", ""); err != nil || !first {
			t.Errorf("first %v, %v", first, err)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if seen(t, db, tenantA, "c", "k") || !first(t, db, tenantA, "c", "k") {
		t.Error("it counts as done")
	}
	if !seen(t, db, tenantA, "c", "k") || first(t, db, tenantA, "c", "k") {
		t.Error("it does not count as done")
	}
}

func TestKeysAreAConsumersAndATenantsOwn(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	for _, c := range [][3]string{{tenantA, "c", "k"}, {tenantB, "c", "k"}, {tenantA, "d", "k"}, {tenantA, "c", "l"}} {
		if seen(t, db, c[0], c[1], c[2]) || !first(t, db, c[0], c[1], c[2]) {
			t.Errorf("%v was there already", c)
		}
	}
}

func TestAnEventWithoutAKeyIsRefused(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
		_, err := inbox.First(t.Context(), tx, "c", "", "")
		return err
	})
	if err == nil {
		t.Error("an empty key would make all such events one")
	}
}

func first(t *testing.T, db *pg.DB, tenant, consumer, key string) (first bool) {
	t.Helper()
	err := pg.InTenant(t.Context(), db, tenant, func(tx pgx.Tx) (err error) {
		first, err = inbox.First(t.Context(), tx, consumer, key, "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return first
}

func seen(t *testing.T, db *pg.DB, tenant, consumer, key string) (seen bool) {
	t.Helper()
	err := pg.InTenant(t.Context(), db, tenant, func(tx pgx.Tx) (err error) {
		seen, err = inbox.Seen(t.Context(), tx, consumer, key)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func open(t *testing.T) (*pg.DB, *pgtest.DB) {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := made.Admin(t).Exec(t.Context(), `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A'), ($2, 'B')`, tenantA, tenantB); err != nil {
		t.Fatal(err)
	}
	return db, made
}
