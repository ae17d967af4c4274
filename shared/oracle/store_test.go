package oracle_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/infra/sim/creativeworld"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/oracle"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

type database struct {
	*pg.DB
	t     *testing.T
	admin *pgxpool.Pool
}

func open(t *testing.T) database {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	d := database{db, t, made.Admin(t)}
	d.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A'), ($2, 'B')`, tenantA, tenantB)
	return d
}

func (d database) exec(sql string, args ...any) {
	d.t.Helper()
	if _, err := d.admin.Exec(d.t.Context(), sql, args...); err != nil {
		d.t.Fatal(err)
	}
}

func (d database) text(sql string, args ...any) (s string) {
	d.t.Helper()
	if err := d.admin.QueryRow(d.t.Context(), `SELECT coalesce((`+sql+`)::text, '')`, args...).Scan(&s); err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d database) in(tenant string, fn func(s oracle.Store) error) {
	d.t.Helper()
	if err := pg.InTenant(d.t.Context(), d.DB, tenant, func(tx pgx.Tx) error { return fn(oracle.NewStore(tx)) }); err != nil {
		d.t.Fatal(err)
	}
}

func (d database) account(tenant, account, niche, currency string) {
	d.t.Helper()
	d.exec(`INSERT INTO gv.accounts (tenant_id, account_id, niche, currency) VALUES ($1, $2, $3, $4)`, tenant, account, niche, currency)
	d.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, $2, $2)`, tenant, account)
}

// put stores ads of an account; scale is of the currency's minor unit.
func (d database) put(tenant, account string, scale float64, past ...oracle.Past) {
	d.t.Helper()
	batch := &pgx.Batch{}
	for _, p := range past {
		batch.Queue(`
			INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, creative_dna, impressions, clicks, spend_minor, pipeline_minor)
			VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8)`,
			tenant, p.AdID, account, p.DNA.JSON(), p.Impressions, p.Clicks, int64(math.Round(p.Spend*scale)), int64(math.Round(p.Value*scale)))
	}
	if err := d.admin.SendBatch(d.t.Context(), batch).Close(); err != nil {
		d.t.Fatal(err)
	}
}

// invented returns ads of an account, small enough to learn from quickly.
func invented(seed uint64, account string, n int) []oracle.Past {
	r := rand.New(rand.NewPCG(seed, 3))
	return creativeworld.Pasts(creativeworld.NewTaste(r).Ads(r, account, n))
}

func serve(t *testing.T, o *oracle.Oracle, account string, dna creative.DNA) oracle.Prediction {
	t.Helper()
	p, err := o.Serve(t.Context(), oracle.Query{Tenant: tenantA, AccountID: account, DNA: dna})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatIsReadIsWhatWasStored(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.account(tenantA, "acc", "Gym", "JPY")
	d.account(tenantA, "twin", " gym", "JPY")
	d.account(tenantA, "dollars", "gym", "USD")
	d.account(tenantA, "clinic", "clinic", "JPY")
	d.account(tenantB, "theirs", "gym", "JPY")
	ad := func(id, account string, value float64) oracle.Past {
		return oracle.Past{AdID: id, AccountID: account, DNA: dna(t, `{"hook_type":"question"}`), Impressions: 1000, Clicks: 20, Spend: 300, Value: value}
	}
	d.put(tenantA, "acc", 1, ad("a1", "acc", 900), oracle.Past{AdID: "never ran", DNA: creative.DNA{}})
	d.put(tenantA, "twin", 1, ad("t1", "twin", 600))
	d.put(tenantA, "dollars", 100, ad("d1", "dollars", 700))
	d.put(tenantA, "clinic", 1, ad("c1", "clinic", 1))
	d.put(tenantB, "theirs", 1, ad("x1", "theirs", 1))
	other := ad("d1", "dollars", 0)
	other.Spend = 0 // another currency says nothing here
	want := map[string]oracle.Past{"a1": ad("a1", "acc", 900), "t1": ad("t1", "twin", 600), "d1": other}
	d.in(tenantA, func(s oracle.Store) error {
		past, err := s.Past(t.Context(), "acc", "m")
		got := map[string]oracle.Past{}
		for _, p := range past {
			got[p.AdID] = p
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(oracle.Past{}, "Created")); diff != "" {
			t.Error(diff)
		}
		b, err2 := s.Basis(t.Context(), "acc")
		sums := oracle.Sums{Ads: 1, Described: 1, Impressions: 1000, Clicks: 20, Spend: 300, Value: 900}
		others := oracle.Sums{Ads: 2, Described: 2, Impressions: 2000, Clicks: 40, Spend: 300, Value: 600}
		if diff := cmp.Diff(oracle.Basis{Own: sums, Others: others, Niche: "Gym", Currency: "JPY"}, b); diff != "" {
			t.Error(diff)
		}
		alone, err3 := s.Past(t.Context(), "clinic", "m")
		if len(alone) != 1 {
			t.Errorf("the clinic learns from %v", alone)
		}
		for _, err := range []error{err, err2, err3} {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func TestAModelIsTrainedOnceAndServes(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.account(tenantA, "acc", "", "USD")
	past := invented(1, "acc", 60)
	d.put(tenantA, "acc", 100, past...)
	o := oracle.New(d.DB)
	first := serve(t, o, "acc", past[0].DNA)
	for _, other := range []*oracle.Oracle{o, oracle.New(d.DB)} { // from memory, and from the registry
		if diff := cmp.Diff(first, serve(t, other, "acc", past[0].DNA)); diff != "" {
			t.Error(diff)
		}
	}
	got := d.text(`SELECT concat_ws(' ', count(*) OVER (), role, version, training_rows, metrics->>'held_out_ads', metrics->>'auc' IS NOT NULL,
		basis->'own'->>'ads', verdict) FROM gv.model_registry`)
	if want := "1 champion " + first.Version + " 60 60 t 60 the first model"; got != want {
		t.Errorf("registered: %s, want %s", got, want)
	}
	if print := d.text(`SELECT fingerprint FROM gv.model_registry`); !strings.HasSuffix(first.Version, print) || print == "" {
		t.Errorf("%s of %q", first.Version, print)
	}
	if size := d.text(`SELECT octet_length(parameters) < 300000 FROM gv.model_registry`); size != "true" {
		t.Errorf("a model of 60 ads takes %s bytes", d.text(`SELECT octet_length(parameters) FROM gv.model_registry`))
	}
}

func TestTheBetterModelServes(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.account(tenantA, "acc", "", "USD")
	past := invented(2, "acc", 90)
	d.put(tenantA, "acc", 100, past[:60]...)
	o := oracle.New(d.DB)
	first := serve(t, o, "acc", past[0].DNA)

	d.put(tenantA, "acc", 100, past[60:]...)
	second := serve(t, o, "acc", past[0].DNA)
	if second.Version == first.Version || second.Own != 90 {
		t.Errorf("thirty ads more taught nothing: %+v", second)
	}
	before := d.text(`SELECT string_agg(role || ' ' || split_part(verdict, ' ', 1), ', ' ORDER BY trained_at) FROM gv.model_registry`)
	if before != "retired the, champion not" {
		t.Errorf("registered: %s", before)
	}
}

func TestAModelThatIsNotBetterIsKeptAsChallengerAndNotTrainedAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.account(tenantA, "acc", "", "USD")
	r := rand.New(rand.NewPCG(4, 4))
	taste := creativeworld.NewTaste(r)
	taste.Seen, taste.Viral = 300_000, 0
	known := creativeworld.Pasts(taste.Ads(r, "old", 150))
	taste.Seen = 400 // what the database still has of the account says little
	weak := creativeworld.Pasts(taste.Ads(r, "acc", 40))
	for i := range known {
		known[i].AccountID = "acc"
	}
	champion := oracle.Train("acc", known)
	d.in(tenantA, func(s oracle.Store) error {
		return s.Register(t.Context(), champion, oracle.Basis{}, true, "by hand")
	})
	d.put(tenantA, "acc", 100, weak...)
	o := oracle.New(d.DB)
	for range 2 {
		p := serve(t, o, "acc", weak[0].DNA)
		if p.Version != champion.Version() || p.BaselineSource != oracle.FromAccount || p.Own != 40 {
			t.Errorf("%+v", p)
		}
	}
	if got := d.text(`SELECT string_agg(role || ': ' || verdict, ', ' ORDER BY trained_at) FROM gv.model_registry`); !strings.HasPrefix(got, "champion: by hand, challenger: worse on CTR: on the 10 newest ads") {
		t.Errorf("registered: %s", got)
	}
}

func TestAModelThatCannotBeReadIsReplaced(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.account(tenantA, "acc", "", "USD")
	past := invented(3, "acc", 12)
	d.put(tenantA, "acc", 100, past...)
	want := serve(t, oracle.New(d.DB), "acc", past[0].DNA)
	for _, damage := range []string{`parameters = '\x00'`, `parameters = substr(parameters, 1, 200)`, `version = 'oracle-0-0123'`} {
		d.exec(`UPDATE gv.model_registry SET ` + damage + ` WHERE role = 'champion'`)
		if diff := cmp.Diff(want, serve(t, oracle.New(d.DB), "acc", past[0].DNA)); diff != "" {
			t.Errorf("%s: %s", damage, diff)
		}
	}
	if n := d.text(`SELECT count(*) FROM gv.model_registry WHERE role = 'champion'`); n != "1" {
		t.Errorf("%s champions", n)
	}
}

func TestTheRegistryStaysSmall(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.account(tenantA, "acc", "", "USD")
	past := invented(5, "acc", 30)
	for n := range 16 {
		m := oracle.Train("acc", past[:n+4])
		d.in(tenantA, func(s oracle.Store) error { return s.Register(t.Context(), m, oracle.Basis{}, n%2 == 0, fmt.Sprint(n)) })
	}
	if got := d.text(`SELECT count(*) || ' ' || count(*) FILTER (WHERE role = 'champion') FROM gv.model_registry`); got != "11 1" {
		t.Errorf("%s models and champions", got)
	}
	if got := d.text(`SELECT verdict FROM gv.model_registry WHERE role = 'champion'`); got != "14" {
		t.Errorf("champion %s", got)
	}
}

func TestTwinsWhoLearnAtOnceAgree(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.account(tenantA, "acc", "", "USD")
	past := invented(6, "acc", 40)
	d.put(tenantA, "acc", 100, past...)
	var wg sync.WaitGroup
	trained := make([]oracle.Trained, 6)
	for i := range trained {
		wg.Go(func() {
			var err error
			if trained[i], err = oracle.New(d.DB).Learn(t.Context(), tenantA, "acc", ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, one := range trained {
		if one.Champion != trained[0].Champion || one.Version != trained[0].Version || one.Champion == "" {
			t.Errorf("%+v", one)
		}
	}
	if n := d.text(`SELECT string_agg(role, ' ') FROM gv.model_registry`); n != "champion" {
		t.Errorf("registered: %s", n)
	}
}

func TestAnAccountThatTheTenantDoesNotHaveIsNotFound(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.account(tenantB, "theirs", "", "USD")
	o := oracle.New(d.DB)
	if _, err := o.Serve(t.Context(), oracle.Query{Tenant: tenantA, AccountID: "theirs"}); fault.Of(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
	d.Close()
	if _, err := o.Serve(t.Context(), oracle.Query{Tenant: tenantA, AccountID: "theirs"}); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestAnAccountThatTakesPartLearnsFromItsNicheUntilItOptsOut(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.account(tenantA, "new", "fitness", "USD")
	question, offer := dna(t, `{"hook_type":"question"}`), dna(t, `{"hook_type":"offer"}`)
	o := oracle.New(d.DB)
	if p := serve(t, o, "new", question); p.BaselineSource != oracle.FromPrior || p.CTR != serve(t, o, "new", offer).CTR {
		t.Fatalf("before: %+v", p)
	}
	d.exec(`INSERT INTO gv.niche_priors (tenant_id, account_id, metric, feature, value, effect, error, accounts, updated_at)
		VALUES ($1, 'new', 'ctr', '', '', ln(0.02), 0.1, 6, now()), ($1, 'new', 'ctr', 'hook_type', 'question', 0.4, 0.05, 6, now())`, tenantA)
	p, other := serve(t, o, "new", question), serve(t, o, "new", offer)
	if p.BaselineSource != oracle.FromNiche || math.Abs(p.Baseline-0.02) > 1e-9 || p.CTR < 1.3*other.CTR || p.Ads != 0 {
		t.Errorf("with its niche: %+v beside %g", p, other.CTR)
	}
	// What the account itself shows decides in the end: here questions are worse.
	var own []oracle.Past
	for i := range 60 {
		a := oracle.Past{AdID: fmt.Sprintf("own-%02d", i), DNA: offer, Impressions: 20_000, Clicks: 400 + int64(i%7)*10, Spend: 10}
		if i%2 == 0 {
			a.DNA, a.Clicks = question, 200+int64(i%7)*10
		}
		own = append(own, a)
	}
	d.put(tenantA, "new", 100, own...)
	if p, other := serve(t, o, "new", question), serve(t, o, "new", offer); p.CTR > 0.7*other.CTR || p.BaselineSource != oracle.FromAccount || p.Ads != 60 {
		t.Errorf("with its own ads: %g beside %g, %s over %d", p.CTR, other.CTR, p.BaselineSource, p.Ads)
	}
	with := serve(t, o, "new", question).Version
	d.exec(`DELETE FROM gv.niche_priors`) // as the next cycle does of an account that opted out
	if p := serve(t, o, "new", question); p.Version == with {
		t.Error("it still goes by its niche")
	}
}

func TestAReasonNamesTheAccountsKnownPatternsAndTheNumbersStayAsTheyAre(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.account(tenantA, "acc", "", "USD")
	past := invented(8, "acc", 30)
	d.put(tenantA, "acc", 100, past...)
	d.account(tenantA, "other", "", "USD")
	o := oracle.New(d.DB)
	creative := dna(t, `{"hook_type":"question","duration_seconds":20}`)
	before := serve(t, o, "acc", creative)
	d.exec(`INSERT INTO gv.creative_patterns (tenant_id, account_id, metric, feature, value, status, lift, lift_low, lift_high, p_value, ads_with, ads_without, found_at, changed_at)
		VALUES ($1, 'acc', 'ctr', 'hook_type', 'question', 'active', 0.31, 0.12, 0.52, 0.001, 12, 18, now(), now()),
		       ($1, 'acc', 'value', 'duration_seconds', 'at least 15', 'active', -0.2, -0.3, -0.1, 0.001, 9, 21, now(), now()),
		       ($1, 'acc', 'ctr', 'duration_seconds', 'below 15', 'active', 0.9, 0.1, 2, 0.001, 9, 21, now(), now()),
		       ($1, 'acc', 'ctr', 'music', 'calm', 'active', 0.9, 0.1, 2, 0.001, 9, 21, now(), now()),
		       ($1, 'acc', 'value', 'hook_type', 'question', 'refuted', 0.9, 0.1, 2, 0.001, 9, 21, now(), now()),
		       ($1, 'other', 'value', 'hook_type', 'question', 'active', 0.9, 0.1, 2, 0.001, 9, 21, now(), now())`, tenantA)
	after := serve(t, o, "acc", creative)
	const want = " Known in this account: hook_type question raises clicks by 31% (12% to 52%; 12 ads with it, 18 without); " +
		"duration_seconds at least 15 lowers pipeline value an impression by 20% (10% to 30%; 9 ads with it, 21 without)."
	if after.Reason != before.Reason+want {
		t.Errorf("%s", after.Reason)
	}
	after.Reason, after.Patterns = before.Reason, before.Patterns
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("a pattern moved a number: %s", diff)
	}
}

func TestAfterAdsThatFellOutsideTheirRangesTheRangesAreWider(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.account(tenantA, "acc", "", "USD")
	past := invented(9, "acc", 30)
	d.put(tenantA, "acc", 100, past...)
	o := oracle.New(d.DB)
	before := serve(t, o, "acc", past[0].DNA)
	// Of each ad one prediction, made two days ago; the ads showed far less than it said.
	d.exec(`INSERT INTO gv.predictions (tenant_id, account_id, ad_id, dna_hash, source, model_version, segment, ctr, ctr_low, ctr_high, roas, roas_low, roas_high, made_at,
			from_impressions, from_clicks, from_spend_minor, from_value_minor, state, impressions, clicks)
		SELECT tenant_id, account_id, ad_id, decode('00', 'hex'), 'cycle', 'v', '', 0.5, 0.4, 0.6, 1, 1, 1, now() - interval '2 days', 0, 0, 0, 0, 'failed', 10000, 100
		FROM gv.ads WHERE account_id = 'acc' ORDER BY ad_id LIMIT 10`)
	after := serve(t, o, "acc", past[0].DNA)
	width := func(p oracle.Prediction) float64 { return math.Log(p.CTRInterval[1] / p.CTRInterval[0]) }
	if by := width(after) / width(before); by < 2.9 || by > 3.1 || after.CTR != before.CTR || after.Version != before.Version ||
		!strings.Contains(after.Reason, "wider than the model's own") {
		t.Errorf("%.3f times as wide; %s", by, after.Reason)
	}
	d.exec(`UPDATE gv.predictions SET made_at = now() - interval '1 hour'`) // their ads have not run for a day
	if again := serve(t, o, "acc", past[0].DNA); width(again) != width(before) {
		t.Errorf("%g, want %g", width(again), width(before))
	}
}
