package decisions_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/decisions"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

func TestWhatIsPackedIsOpenedAgain(t *testing.T) {
	t.Parallel()
	for _, data := range [][]byte{{}, []byte(`{}`), bytes.Repeat([]byte(`{"ad_id":"é"}`), 100_000)} {
		packed := decisions.Pack(data)
		got, err := packed.Open()
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes became %d: %v", len(data), len(got), err)
		}
		for _, torn := range []decisions.Packed{nil, packed[:len(packed)/2], append(bytes.Clone(packed[:len(packed)-1]), packed[len(packed)-1]^1)} {
			if _, err := torn.Open(); err == nil {
				t.Errorf("%d of %d bytes were opened", len(torn), len(packed))
			}
		}
	}
}

func TestWhatWasGzippedIsOpenedStill(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(`{"a":1}`)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if got, err := decisions.Packed(b.Bytes()).Open(); err != nil || string(got) != `{"a":1}` {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := decisions.Packed(b.Bytes()[:b.Len()-3]).Open(); err == nil {
		t.Error("half of it was opened")
	}
}

func TestAnIDTellsItsTime(t *testing.T) {
	t.Parallel()
	id, at, err := decisions.Stamp()
	if err != nil || id.Version() != 7 || time.Since(at).Abs() > time.Minute || at != at.Truncate(time.Millisecond) || at.Location() != time.UTC {
		t.Errorf("%s at %v: %v", id, at, err)
	}
}

func TestADecisionIsKeptWholeAndFoundByItsID(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	db, err := pg.Open(context.Background(), pg.Config{URL: database.AppURL, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	tenant := uuid.NewString()
	if _, err := database.Admin(t).Exec(t.Context(), `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'a clinic')`, tenant); err != nil {
		t.Fatal(err)
	}
	in := func(tenant string, fn func(s decisions.Store) error) error {
		return pg.InTenant(t.Context(), db, tenant, func(tx pgx.Tx) error { return fn(decisions.NewStore(tx)) })
	}
	id, at, _ := decisions.Stamp()
	expected, gain := 4321.5, -12.25
	want := decisions.Decision{
		Summary: decisions.Summary{
			DecisionID: id, CreatedAt: at, AccountID: "acc", Currency: "JPY", RequestedBy: "a@b.c", ModelVersion: "m/1",
			Architecture: decisions.Here, Seed: 1<<53 - 1, NumAds: 3, Total: 1000, Unallocated: 10,
			ExpectedReturn: &expected, ExpectedGain: &gain,
		},
		Inputs: decisions.Pack([]byte(`{"a":1}`)), Posterior: decisions.Pack([]byte(`{}`)), Answer: decisions.Pack([]byte(`[]`)),
	}
	if err := in(tenant, func(s decisions.Store) error { return s.Put(t.Context(), want) }); err != nil {
		t.Fatal(err)
	}
	err = in(tenant, func(s decisions.Store) error {
		got, err := s.Get(t.Context(), id)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err != nil {
			return err
		}
		list, err := s.List(t.Context(), "acc", uuid.Nil, 10)
		if diff := cmp.Diff([]decisions.Summary{want.Summary}, list); diff != "" {
			t.Errorf("(-want +listed):\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, stranger := range []string{tenant, uuid.NewString()} {
		wrong := id
		if stranger == tenant {
			wrong[15] ^= 1
		}
		err := in(stranger, func(s decisions.Store) error { _, err := s.Get(t.Context(), wrong); return err })
		if fault.Of(err) != fault.NotFound {
			t.Errorf("looked up in vain: %v", err)
		}
	}
}
