package gemini_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func TestTwinsTogetherStayBelowTheCap(t *testing.T) {
	t.Parallel()
	f := open(t, func(cfg *gemini.Config) { cfg.DailyCap = 0.02 }) // a call may cost some 4000 millionths
	f.fake.Write = func(fakegemini.Call) string { return fits }
	var made, capped atomic.Int64
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			_, err := ask(t.Context(), f)
			var full *gemini.Capped
			switch {
			case err == nil:
				made.Add(1)
			case errors.As(err, &full):
				capped.Add(1)
				if fault.Of(err) != fault.TooMany || full.Tokens || time.Until(full.Until) > 24*time.Hour || !strings.Contains(err.Error(), "spending limit") {
					t.Errorf("%v %+v", err, full)
				}
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load()+capped.Load() != 12 || made.Load() == 0 {
		t.Errorf("%d made, %d capped", made.Load(), capped.Load())
	}
	f.exec(t, `UPDATE gv.gemini_days SET cost_micros = 19999`)
	asked := f.fake.Requests()
	var full *gemini.Capped
	if _, err := ask(t.Context(), f); !errors.As(err, &full) || f.fake.Requests() != asked {
		t.Errorf("%v, and %d requests", err, f.fake.Requests()-asked)
	}
	f.exec(t, `UPDATE gv.gemini_days SET day = day - 1`)
	if _, err := ask(t.Context(), f); err != nil {
		t.Errorf("the next day: %v", err)
	}
}

func TestWhoAllowsNothingIsChargedNothingThoughNoPriceIsKnown(t *testing.T) {
	t.Parallel()
	f := open(t, func(cfg *gemini.Config) { cfg.Prices = nil })
	f.fake.Write = func(fakegemini.Call) string { return fits }
	f.exec(t, `INSERT INTO gv.accounts (tenant_id, account_id, settings) VALUES ($1, 'a', '{"gemini_daily_cap_usd": 0}')`, tenantA)
	var full *gemini.Capped
	if _, err := ask(t.Context(), f); !errors.As(err, &full) || f.fake.Requests() != 0 {
		t.Errorf("%v, after %d requests", err, f.fake.Requests())
	}
	f.exec(t, `UPDATE gv.accounts SET settings = '{"gemini_daily_cap_usd": 0.01}'`)
	for range 2 { // the day's first call and a later one
		if _, err := ask(t.Context(), f); err != nil {
			t.Error(err)
		}
	}
	f.exec(t, `UPDATE gv.accounts SET settings = '{"gemini_daily_cap_usd": 0}'`)
	if _, err := ask(t.Context(), f); !errors.As(err, &full) || f.fake.Requests() != 2 {
		t.Errorf("%v, after %d requests", err, f.fake.Requests())
	}
}

func TestNoReservationIsAboveTheCap(t *testing.T) {
	t.Parallel()
	f := open(t)
	seen := make(chan int64, 40)
	f.exec(t, `INSERT INTO gv.gemini_days (tenant_id, day, cost_micros) VALUES ($1, (now() AT TIME ZONE 'UTC')::date, 9990000)`, tenantA)
	f.fake.Write = func(fakegemini.Call) string {
		var n int64
		if err := f.admin.QueryRow(context.Background(), `SELECT cost_micros + reserved_micros FROM gv.gemini_days WHERE tenant_id = $1`, tenantA).Scan(&n); err == nil {
			seen <- n
		}
		return fits
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { _, _ = ask(t.Context(), f) })
	}
	wg.Wait()
	close(seen)
	for n := range seen {
		if n > 10_000_000 {
			t.Errorf("%d millionths are spent or reserved", n)
		}
	}
}

func TestAnAccountLowersTheCapAndNeverRaisesIt(t *testing.T) {
	t.Parallel()
	f := open(t, func(cfg *gemini.Config) { cfg.DailyCap = 1 })
	f.fake.Write = func(fakegemini.Call) string { return fits }
	for settings, passes := range map[string]bool{
		`{}`: true, `{"gemini_daily_cap_usd": 0.5}`: true, `{"gemini_daily_cap_usd": 0}`: false, `{"gemini_daily_cap_usd": -1}`: false,
		`{"gemini_daily_cap_usd": 0.000001}`: false, `{"gemini_daily_cap_usd": 1e300}`: true, `{"gemini_daily_cap_usd": "none"}`: true, `{"gemini_daily_cap_usd": null}`: true,
	} {
		f.exec(t, `INSERT INTO gv.accounts (tenant_id, account_id, settings) VALUES ($1, 'a', $2), ($1, 'b', '{}') ON CONFLICT (tenant_id, account_id) DO UPDATE SET settings = excluded.settings`, tenantA, settings)
		if _, err := ask(t.Context(), f); (err == nil) != passes {
			t.Errorf("%s: %v", settings, err)
		}
	}
	f.exec(t, `UPDATE gv.accounts SET settings = '{"gemini_daily_cap_usd": 1000}' WHERE account_id = 'a'`)
	f.exec(t, `UPDATE gv.gemini_days SET cost_micros = 1000000`)
	if _, err := ask(t.Context(), f); fault.Of(err) != fault.TooMany {
		t.Errorf("a setting raised the cap: %v", err)
	}
	if _, err := f.Embedder(tenantB).Query(t.Context(), "x"); err != nil {
		t.Errorf("another tenant is reserved by it: %v", err)
	}
}

func TestWithoutAPriceTokensAreCountedAndBounded(t *testing.T) {
	t.Parallel()
	f := open(t, func(cfg *gemini.Config) { cfg.Prices, cfg.DailyTokens = nil, 1500 })
	f.fake.Write = func(fakegemini.Call) string { return fits }
	got, err := ask(t.Context(), f)
	if err != nil || got.CostMicros != 0 || got.InputTokens == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	f.exec(t, `UPDATE gv.gemini_days SET tokens = 1400`)
	_, err = ask(t.Context(), f)
	if full := new(gemini.Capped); !errors.As(err, &full) || !full.Tokens || !strings.Contains(err.Error(), "token limit") {
		t.Errorf("%v", err)
	}
}

func TestADeadDatabaseAsksNothing(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.db.Close()
	if _, err := ask(t.Context(), f); err == nil || f.fake.Requests() != 0 {
		t.Errorf("%v after %d requests", err, f.fake.Requests())
	}
}

func TestSettingsAreReadFromTheEnvironment(t *testing.T) {
	t.Setenv("GEMINI_API_KEY", fakegemini.Key)
	t.Setenv("GEMINI_PRICES", "gemini-3.8-flash:0.3/2.5,gemini-embedding-2:0.2")
	t.Setenv("GEMINI_TIMEOUT", "20s")
	cfg, err := settings.Load[gemini.Config](t.Context())
	if err != nil || cfg.Prices["gemini-3.8-flash"] != (gemini.Price{Input: 0.3, Output: 2.5}) || cfg.Timeout != 20*time.Second ||
		cfg.DailyCap != 10 || cfg.EmbeddingModel != "gemini-embedding-2" || cfg.Location != "" {
		t.Errorf("%+v, %v", cfg.Prices, err)
	}
	for name, change := range map[string]func(*gemini.Config){
		"a negative cap": func(c *gemini.Config) { c.DailyCap = -1 },
		"no number":      func(c *gemini.Config) { c.DailyCap = math.NaN() },
		"no time":        func(c *gemini.Config) { c.Timeout = 0 },
		"fewer tokens":   func(c *gemini.Config) { c.DailyTokens = -1 },
	} {
		bad := cfg
		change(&bad)
		_, err := gemini.Open(t.Context(), bad, nil)
		if err == nil {
			t.Errorf("%s is taken", name)
		}
		clean(t, name, err)
	}
	t.Setenv("GEMINI_PRICES", "free")
	if _, err := settings.Load[gemini.Config](t.Context()); err == nil || !strings.Contains(err.Error(), "GEMINI_PRICES has the wrong form") {
		t.Errorf("bad prices: %v", err)
	}
}

func TestPricesAreReadOrRefused(t *testing.T) {
	t.Parallel()
	var p gemini.Prices
	if err := p.UnmarshalText([]byte(" a-1:0.3/2.5, b:0.2,")); err != nil || p["a-1"] != (gemini.Price{Input: 0.3, Output: 2.5}) || p["b"] != (gemini.Price{Input: 0.2}) {
		t.Errorf("%v, %v", p, err)
	}
	for _, bad := range []string{"a", "a:", "a:x", "a:1/", "a:-1", ":1", "a:1/NaN", "a:Inf", "a:1e308/1e308"} {
		if err := p.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
