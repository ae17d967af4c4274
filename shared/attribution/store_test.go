package attribution_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/pg"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func in(w *apitest.World, fn func(ctx context.Context, s attribution.Store, tx pgx.Tx) error) {
	w.T.Helper()
	ctx := context.Background()
	err := pg.InTenant(ctx, w.App, apitest.Tenant, func(tx pgx.Tx) error { return fn(ctx, attribution.NewStore(tx), tx) })
	if err != nil {
		w.T.Error(err)
	}
}

// contact is the one contact of a deal with the same number.
type contact struct {
	id   int
	keys attribution.Keys
	at   time.Time
}

// record does with a click what the beacon does, and with the deals that it
// affects what their ledger does.
func record(w *apitest.World, c attribution.Click, contacts []contact) {
	var deals []attribution.DealRef
	in(w, func(ctx context.Context, s attribution.Store, _ pgx.Tx) error {
		if err := s.Lock(ctx, c.Keys()); err != nil {
			return err
		}
		if _, isNew, err := s.Record(ctx, c); err != nil || !isNew {
			return err
		}
		found, conversions, err := s.Affected(ctx, c)
		if err != nil {
			return err
		}
		deals = found
		return s.Rederive(ctx, conversions)
	})
	for _, d := range deals {
		credit(w, contacts[d.DealID])
	}
}

// credit does what the ledger does with the contact's deal.
func credit(w *apitest.World, c contact) {
	in(w, func(ctx context.Context, s attribution.Store, tx pgx.Tx) error {
		if err := s.Lock(ctx, c.keys); err != nil {
			return err
		}
		found, err := s.Match(ctx, []attribution.Keys{c.keys}, attribution.At(c.at))
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE gv.deals SET click_id = nullif($1, ''), attribution_method = $2 WHERE tenant_id = gv.tenant() AND deal_id = $3`,
			found.ClickID, found.Method, c.id)
		return err
	})
}

// meet inserts the contact and its deal in a transaction that waits for clicks
// with its keys, and credits the deal.
func meet(w *apitest.World, c contact) {
	in(w, func(ctx context.Context, s attribution.Store, tx pgx.Tx) error {
		if err := s.Lock(ctx, c.keys); err != nil {
			return err
		}
		batch := &pgx.Batch{}
		batch.Queue(`INSERT INTO gv.contacts (tenant_id, portal_id, contact_id, converted_at) VALUES (gv.tenant(), 1, $1, $2)`, c.id, c.at)
		for kind, value := range map[string]string{"click_id": c.keys.ClickID, "fbclid": c.keys.FBCLID, "gclid": c.keys.GCLID, "fingerprint": c.keys.FingerprintHash} {
			if value != "" {
				batch.Queue(`INSERT INTO gv.contact_keys (tenant_id, portal_id, contact_id, kind, value) VALUES (gv.tenant(), 1, $1, $2, $3)`, c.id, kind, value)
			}
		}
		batch.Queue(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state) VALUES (gv.tenant(), 1, $1, 'live')`, c.id)
		batch.Queue(`INSERT INTO gv.deal_contacts (tenant_id, portal_id, deal_id, contact_id, position) VALUES (gv.tenant(), 1, $1, $1, 0)`, c.id)
		return tx.SendBatch(ctx, batch).Close()
	})
	credit(w, c)
}

func genKeys(t *rapid.T, device bool) attribution.Keys {
	few := func(kind string) string {
		return rapid.SampledFrom([]string{"", "", kind + "1", kind + "2"}).Draw(t, kind)
	}
	k := attribution.Keys{ClickID: few("click-"), PlatformIDs: attribution.PlatformIDs{FBCLID: few("fb"), GCLID: few("g")}, FingerprintHash: few("fp")}
	if device {
		k.IP, k.UserAgent = few("192.0.2."), few("UA")
	}
	return k
}

func genTime(t *rapid.T, label string) time.Time {
	hours := rapid.SampledFrom([]int{0, 0, 1, 12, 24, 25, 48, 168, 169}).Draw(t, label)
	return noon.Add(-time.Duration(hours) * time.Hour)
}

// state is what attribution has come to.
const state = `SELECT coalesce((SELECT string_agg(concat_ws(' ', conversion_id, click_id, ad_id, method, confidence, reason), E'\n' ORDER BY conversion_id) FROM gv.conversions), '')
	|| E'\n' || coalesce((SELECT string_agg(concat_ws(' ', deal_id, click_id, attribution_method), E'\n' ORDER BY deal_id) FROM gv.deals), '')`

func TestWhateverTheOrderOfClicksAndConversionsTheEndIsTheSame(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	rapid.Check(t, func(t *rapid.T) {
		var (
			actions  []func()
			contacts []contact
		)
		for i := range rapid.IntRange(1, 6).Draw(t, "clicks") {
			k := genKeys(t, true)
			c := attribution.Click{
				ClickID: fmt.Sprintf("click-%d", i), AdID: fmt.Sprintf("ad-%d", i%3), CampaignID: "c1", ClickedAt: genTime(t, "clicked"),
				PlatformIDs: k.PlatformIDs, FingerprintHash: k.FingerprintHash, IP: k.IP, UserAgent: k.UserAgent,
			}
			actions = append(actions, func() { record(w, c, contacts) })
			if rapid.IntRange(0, 3).Draw(t, "twin") == 0 {
				actions = append(actions, func() { record(w, c, contacts) })
			}
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "conversions") {
			c := attribution.Conversion{ID: fmt.Sprintf("v%d", i), Type: "lead", At: attribution.At(genTime(t, "converted")), Keys: genKeys(t, true)}
			actions = append(actions, func() {
				in(w, func(ctx context.Context, s attribution.Store, _ pgx.Tx) error {
					_, err := s.Attribute(ctx, c)
					return err
				})
			})
		}
		for i := range rapid.IntRange(0, 2).Draw(t, "deals") {
			contacts = append(contacts, contact{i, genKeys(t, false), genTime(t, "converted")})
			actions = append(actions, func() { meet(w, contacts[i]) })
		}
		run := func(all func()) string {
			for _, table := range []string{"deal_contacts", "contact_keys", "deals", "contacts", "conversions", "clicks"} {
				w.Exec(`DELETE FROM gv.` + table) // a TRUNCATE makes files anew and every connection look at its tables again
			}
			all()
			return w.Text(state)
		}
		want := run(func() {
			for _, do := range actions {
				do()
			}
		})
		shuffled := rapid.Permutation(actions).Draw(t, "order")
		if got := run(func() {
			for _, do := range shuffled {
				do()
			}
		}); got != want {
			t.Fatalf("in another order:\n%s\nwant\n%s", got, want)
		}
		if got := run(func() {
			var together sync.WaitGroup
			for _, do := range actions {
				together.Go(do)
			}
			together.Wait()
		}); got != want {
			t.Fatalf("all at once:\n%s\nwant\n%s", got, want)
		}
	})
}

func TestOfManyClicksWithOneFingerprintTheLatestIsFound(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	w.Exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fingerprint_hash, ip_address, user_agent)
		SELECT $1, 'k' || n, 'a', 'c', $2::timestamptz - make_interval(mins => n % 5000), 'fp', '192.0.2.1', 'UA' FROM generate_series(1, 20000) n`, apitest.Tenant, noon)
	w.Exec(`ANALYZE gv.clicks`)
	for _, keys := range []attribution.Keys{{FingerprintHash: "fp"}, {IP: "::ffff:192.0.2.1", UserAgent: "UA"}} {
		in(w, func(ctx context.Context, s attribution.Store, tx pgx.Tx) error {
			found, err := s.Match(ctx, []attribution.Keys{keys}, attribution.At(noon))
			if err != nil {
				return err
			}
			if found.ClickID != "k5000" || found.WindowHours != 0 {
				t.Errorf("by %+v: %+v, want k5000, of 4 the greatest id", keys, found)
			}
			var read int
			err = tx.QueryRow(ctx, `SELECT pg_stat_get_xact_tuples_returned(t) + pg_stat_get_xact_tuples_fetched(t) FROM (SELECT 'gv.clicks'::regclass) AS x (t)`).Scan(&read)
			if read > 200 {
				t.Errorf("by %+v it read %d rows of 20,000", keys, read)
			}
			return err
		})
	}
}

func TestAnIDBelongsToTheFirstKnownAdThatWasReportedWithIt(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'acc')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c', 'acc')`, apitest.Tenant)
	know := func(ad string) {
		w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, $2, 'acc', 'c')`, apitest.Tenant, ad)
	}
	know("rival")
	know("real")
	reported := func(id, ad string, hours int) {
		w.Exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid, recorded_at) VALUES ($1, $2, $3, 'c', $4, 'fb', clock_timestamp())`,
			apitest.Tenant, id, ad, noon.Add(-time.Duration(hours)*time.Hour))
	}
	credited := func() (click string) {
		in(w, func(ctx context.Context, s attribution.Store, _ pgx.Tx) error {
			found, err := s.Match(ctx, []attribution.Keys{{PlatformIDs: attribution.PlatformIDs{FBCLID: "fb"}}}, attribution.At(noon))
			click = found.ClickID
			return err
		})
		return click
	}
	for _, step := range []struct {
		click, ad string
		hours     int
		want      string
	}{
		{"k0", "unknown ad", 50, "k0"}, // nobody knows the ad, and there is no other
		{"k1", "real", 40, "k1"},
		{"k2", "rival", 30, "k1"}, // later, for another ad
		{"k3", "rival", 45, "k1"}, // reported later, dated earlier
		{"k4", "", 2, "k1"},
		{"k5", "real", 20, "k5"}, // the same ad again: the latest click
	} {
		reported(step.click, step.ad, step.hours)
		if got := credited(); got != step.want {
			t.Errorf("after %s of %q: %s wins, want %s", step.click, step.ad, got, step.want)
		}
	}
	for i := range 200 {
		reported(fmt.Sprintf("spam-%d", i), "rival", 1)
	}
	if got := credited(); got != "k5" {
		t.Errorf("after 200 more for another ad: %s wins, want k5", got)
	}
	know("unknown ad")
	if got := credited(); got != "k0" {
		t.Errorf("once its ad is known, %s wins, want k0", got)
	}
}

func TestAMatchOutlivesWhatItWasFoundBy(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	click := attribution.Click{
		ClickID: "k1", AdID: "a", CampaignID: "c", ClickedAt: noon.Add(-2 * time.Hour), FingerprintHash: "fp", IP: "192.0.2.1", UserAgent: "UA",
	}
	in(w, func(ctx context.Context, s attribution.Store, _ pgx.Tx) error {
		_, _, err := s.Record(ctx, click)
		return err
	})
	ask := func(keys attribution.Keys, at time.Time) (r attribution.Result) {
		in(w, func(ctx context.Context, s attribution.Store, _ pgx.Tx) (err error) {
			r, err = s.Attribute(ctx, attribution.Conversion{ID: "v", Type: "lead", At: attribution.At(at), Keys: keys})
			return err
		})
		return r
	}
	if got := ask(attribution.Keys{FingerprintHash: "fp"}, noon); got.ClickID != "k1" || got.Method != attribution.Fingerprint {
		t.Fatalf("first: %+v", got)
	}
	w.Exec(`UPDATE gv.clicks SET ip_address = NULL, user_agent = NULL, fingerprint_hash = NULL, cleared_at = now()`)
	w.Exec(`UPDATE gv.conversions SET fingerprint_hash = NULL, cleared_at = now()`)
	if got := ask(attribution.Keys{FingerprintHash: "fp"}, noon); got.ClickID != "k1" || got.Method != attribution.Fingerprint || got.WindowHours != 2 {
		t.Errorf("once cleared: %+v", got)
	}
	if got := ask(attribution.Keys{}, noon.Add(-3*time.Hour)); got.Method != attribution.Unattributed {
		t.Errorf("as of before its click: %+v", got)
	}
	ask(attribution.Keys{}, noon)
	w.Exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, gclid) VALUES ($1, 'k2', 'b', 'c', $2, 'g')`, apitest.Tenant, noon.Add(-100*time.Hour))
	if got := ask(attribution.Keys{PlatformIDs: attribution.PlatformIDs{GCLID: "g"}}, noon); got.ClickID != "k2" {
		t.Errorf("a surer click comes: %+v", got)
	}
}

func TestAClickOfSomebodyErasedIsAnsweredWithoutWhatTheyAreKnownBy(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	w.Exec(`INSERT INTO gv.contact_hashes (tenant_id, portal_id, contact_id, kind, hash) VALUES ($1, 1, 2, 'fbclid', gv.key_hash($1, 'fbclid', 'theirs'))`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.erasures (tenant_id, portal_id, contact_id) VALUES ($1, 1, 2)`, apitest.Tenant)
	for fbclid, theirs := range map[string]bool{"theirs": true, "anothers": false} {
		sent := attribution.Click{
			ClickID: "of " + fbclid, AdID: "a", CampaignID: "c", ClickedAt: noon, FingerprintHash: "fp", PlatformIDs: attribution.PlatformIDs{FBCLID: fbclid},
		}
		for range 2 {
			in(w, func(ctx context.Context, s attribution.Store, _ pgx.Tx) error {
				got, _, err := s.Record(ctx, sent)
				if kept := got.ClickID == sent.ClickID && got.FingerprintHash == "fp"; kept == theirs || got.ClickID == "" {
					t.Errorf("the click of %s comes back as %+v", fbclid, got)
				}
				return err
			})
		}
	}
}
