package notice_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
	tenantC = "00000000-0000-4000-8000-00000000000c"
)

type world struct {
	t      *testing.T
	db     *pg.DB
	worker *pg.Worker
	admin  *pgxpool.Pool
}

// open has a tenant that wants everything, one that wants cuts, one that wants
// nothing any more.
func open(t *testing.T) *world {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	w := &world{t, db, worker, made.Admin(t)}
	for _, sql := range []string{
		`INSERT INTO gv.tenants (tenant_id, name) VALUES ('` + tenantA + `', 'A'), ('` + tenantB + `', 'B'), ('` + tenantC + `', 'C')`,
		`INSERT INTO gv.webhooks (tenant_id, url, secret, updated_by, kinds, disabled_at, disabled_reason) VALUES
			('` + tenantA + `', 'https://a.example', 's', 'test', '{}', NULL, NULL),
			('` + tenantB + `', 'https://b.example', 's', 'test', '{change.cut}', NULL, NULL),
			('` + tenantC + `', 'https://c.example', 's', 'test', '{}', now(), 'gone')`,
	} {
		if _, err := w.admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) waiting(tenant string) []string {
	w.t.Helper()
	rows, _ := w.admin.Query(w.t.Context(), `SELECT convert_from(data, 'UTF8') FROM gv.outbox WHERE tenant_id = $1 AND topic = 'tenant-notices' ORDER BY 1`, tenant)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestANoticeWaitsWhereTheTenantWantsItsKind(t *testing.T) {
	t.Parallel()
	w := open(t)
	both := []notice.Notice{{Kind: notice.ChangeCut, Text: "cut"}, {Kind: notice.AdFatigued, AdID: "ad-1", Text: "tired"}}
	for tenant, want := range map[string]int{tenantA: 2, tenantB: 1, tenantC: 0} {
		err := pg.InTenant(t.Context(), w.db, tenant, func(tx pgx.Tx) error { return notice.Put(t.Context(), tx, tenant, both...) })
		if err != nil {
			t.Fatal(err)
		}
		if got := w.waiting(tenant); len(got) != want {
			t.Errorf("%s: %v, want %d", tenant, got, want)
		}
	}
}

func TestTheWorkerTellsManyTenantsInOneStatement(t *testing.T) {
	t.Parallel()
	w := open(t)
	one := []notice.Notice{{Kind: notice.ChangeCut, Text: "cut"}}
	err := pg.Across(t.Context(), w.worker, func(tx pgx.Tx) error {
		return notice.PutEach(t.Context(), tx, map[string][]notice.Notice{tenantA: one, tenantB: one, tenantC: one})
	})
	if err != nil {
		t.Fatal(err)
	}
	if a, b, c := len(w.waiting(tenantA)), len(w.waiting(tenantB)), len(w.waiting(tenantC)); a != 1 || b != 1 || c != 0 {
		t.Errorf("%d, %d and %d notices wait", a, b, c)
	}
}

func TestOneTenantCannotTellAnother(t *testing.T) {
	t.Parallel()
	w := open(t)
	err := pg.InTenant(t.Context(), w.db, tenantA, func(tx pgx.Tx) error {
		return notice.Put(t.Context(), tx, tenantB, notice.Notice{Kind: notice.ChangeCut, Text: "cut"})
	})
	if err != nil || len(w.waiting(tenantB)) != 0 {
		t.Errorf("%v, %v", err, w.waiting(tenantB))
	}
}

func TestANoticeHoldsNoAddressAndNoEndlessText(t *testing.T) {
	t.Parallel()
	w := open(t)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.FixedZone("", 3600))
	err := pg.InTenant(t.Context(), w.db, tenantA, func(tx pgx.Tx) error {
		return notice.Put(t.Context(), tx, tenantA, notice.Notice{
			Kind: notice.ChangeHeld, ChangeID: "c1", At: at, Text: `"jane.o'neil+x@mail.example.com" said no ` + strings.Repeat("é", 3000),
			Data: map[string]any{"by": "admin@northside.example", "budget": 12.5},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	got := w.waiting(tenantA)[0]
	if strings.Contains(got, "@") || strings.Count(got, "a member") != 2 || !strings.Contains(got, `"at":"2026-11-22T09:00:00Z"`) ||
		!strings.Contains(got, `"budget":12.5`) || len([]rune(got)) > notice.MaxText+200 || !strings.Contains(got, "é…") {
		t.Errorf("%s", got)
	}
}

func TestNoNoticesAreNoStatement(t *testing.T) {
	t.Parallel()
	if err := notice.Put(t.Context(), nil, tenantA); err != nil {
		t.Error(err)
	}
}
