package demo

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/local/demo/sim"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
)

// aCRM is an empty portal of a fake HubSpot and the small tenant's simulation.
func aCRM(t *testing.T) *crm {
	t.Helper()
	fake, err := fakehubspot.New(fakehubspot.Options{File: filepath.Join(t.TempDir(), "hubspot.json")})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	now := time.Now().UTC()
	return &crm{
		portal: fake.Connect(fakehubspot.PortalConfig{ID: 7, HomeCurrency: "EUR", Pipelines: []fakehubspot.Pipeline{Pipeline}}),
		seeder: &seeder{
			sys: System{HubSpot: fake, HubSpotURL: server.URL}, tenant: Tenant{ID: "t", PortalID: 7}, begun: now,
			world: sim.New(sim.Config{Seed: homeSeed + 1, Now: now, Zone: time.UTC, Currency: "EUR", Business: sim.Dental}),
		},
	}
}

func (c *crm) must(t *testing.T) listing {
	t.Helper()
	l, err := c.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAFilledCRMIsNotFilledAgain(t *testing.T) {
	t.Parallel()
	c := aCRM(t)
	if err := c.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := c.must(t)
	if len(first.Deals) != len(c.world.Deals) || len(first.Pending) == 0 {
		t.Fatalf("%d deals and %d batches to deliver, want %d deals and some", len(first.Deals), len(first.Pending), len(c.world.Deals))
	}
	for i, d := range c.world.Deals {
		if got := first.Deals[c.deals[i]].Properties["dealstage"]; got != stageIDs[d.Stage()] {
			t.Errorf("deal %d is in %s, want %s", i, got, stageIDs[d.Stage()])
		}
	}
	for range 2 { // before and after one deal was merged and one deleted
		if err := c.fill(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.mishaps(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	last := c.must(t)
	archived := 0
	for _, d := range last.Deals {
		if d.Archived {
			archived++
		}
	}
	if len(last.Deals) != len(first.Deals)-1 || archived != 1 {
		t.Errorf("%d deals, %d of them deleted; want %d and 1", len(last.Deals), archived, len(first.Deals)-1)
	}
	if len(last.Pending) != len(first.Pending)+1 {
		t.Errorf("%d batches to deliver, want %d: what is there is not sent again", len(last.Pending), len(first.Pending)+1)
	}
}

func TestAPlayEndsAtItsFirstFailedStepAndNamesIt(t *testing.T) {
	t.Parallel()
	system := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"detail": "the database does not answer"}`, http.StatusServiceUnavailable)
	}))
	t.Cleanup(system.Close)
	c := aCRM(t)
	var out bytes.Buffer
	err := Play(t.Context(), System{
		BaseURL: system.URL, AdminDatabaseURL: "postgres://nobody@127.0.0.1:1/nothing", HubSpot: c.sys.HubSpot, Home: Tenant{PortalID: 7, Currency: "EUR"},
	}, &out)
	const want = "step 1 (Today's budgets, before anything happens): GET /api/campaigns answered 503: the database does not answer"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if strings.Contains(out.String(), " 2.") {
		t.Errorf("the play went on:\n%s", out.String())
	}
}
