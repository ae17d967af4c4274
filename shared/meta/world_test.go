package meta_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/infra/testkit/memnet"
	"github.com/geminivideo/geminivideo/shared/meta"
)

// token looks like Meta's; no error and no log may ever hold it.
const token = "EAAGm0PX4ZCpsBAKQxTokenThatNobodyMaySee"

// world is a fake Meta with a campaign, an ad set of 50.00 a day and an ad, and
// a client of it.
type world struct {
	t       *testing.T
	fake    *fakemeta.Fake
	held    *fakemeta.Account
	server  *memnet.Server
	client  *meta.Client
	account *meta.Account
	clock   *clock

	campaign, adset, ad string
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newWorld(t *testing.T, tune func(*fakemeta.Options, *fakemeta.AccountConfig, *meta.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}}
	options := fakemeta.Options{Now: w.clock.Now}
	config := fakemeta.AccountConfig{ID: "act_77", Name: "Seventy-seven", TimeZone: "America/Chicago", Tokens: []string{token}}
	o := meta.Options{FirstWait: time.Millisecond, ReportPoll: time.Millisecond, Now: w.clock.Now}
	if tune != nil {
		tune(&options, &config, &o)
	}
	fake, err := fakemeta.New(options)
	if err != nil {
		t.Fatal(err)
	}
	w.fake, w.held = fake, fake.Connect(config)
	w.campaign = w.held.PutCampaign(fakemeta.Campaign{Name: "Clubs"})
	w.adset = w.held.PutAdSet(fakemeta.AdSet{CampaignID: w.campaign, Name: "Set", DailyBudget: 5000, Learning: "LEARNING"})
	w.ad = w.held.PutAd(fakemeta.Ad{AdSetID: w.adset, Name: "Ad", Title: "Join", Body: "Train with us", CallToAction: "SIGN_UP"})
	w.server = memnet.Serve(t, fake)
	o.Transport = w.server.Transport
	w.client = meta.New(meta.Config{BaseURL: w.server.URL, Version: "v26.0"}, o)
	w.account = w.client.Account("77", token)
	return w
}

// know makes the client know the account's currency, so that the next request is
// the one that a test is about.
func (w *world) know() {
	w.t.Helper()
	if _, err := w.account.Info(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// writes counts what reached the fake and changed something.
func (w *world) applied() int { return len(w.fake.Applied("")) }

func TestTheTokenIsInNoErrorLogOrAddress(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	var errs []error
	note := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("no error")
			return
		}
		errs = append(errs, err)
		logger.Error("failed", "error", err)
	}
	for name, f := range map[string]fakemeta.Fault{
		"echoed":    {Code: 190, Message: "Malformed access token " + token},
		"another's": {Code: 190, Message: "Malformed access token EAAsomebodyElses1234567890"},
		"gateway":   {Status: 502, Times: 9},
		"dropped":   {Drop: true, Times: 9},
		"cut":       {Truncate: true, Times: 9},
	} {
		w := newWorld(t, nil)
		w.know()
		w.fake.Inject(f)
		_, err := w.account.Read(t.Context(), "adset/"+w.adset)
		note(fmt.Errorf("%s: %w", name, err))
		w.fake.Heal()
		w.fake.Inject(f)
		_, err = w.account.SetStatus(t.Context(), "ad/"+w.ad, "PAUSED", false)
		note(fmt.Errorf("%s: %w", name, err))
		logger.Info("an account", "account", w.account, "client", w.client)
		if text := fmt.Sprintf("%v %+v %#v", w.account, w.account, w.client); strings.Contains(text, token) {
			t.Error("an account shows its token: " + text)
		}
	}
	closed := newWorld(t, func(_ *fakemeta.Options, _ *fakemeta.AccountConfig, o *meta.Options) { o.Attempts = 2 })
	closed.server.Close()
	_, err := closed.account.Info(t.Context())
	note(err)
	elsewhere := newWorld(t, func(o *fakemeta.Options, _ *fakemeta.AccountConfig, m *meta.Options) {
		o.Offsets, m.PageSize = true, 1
		o.Next = func(a string) string { return strings.Replace(a, "memory.test", "elsewhere.example", 1) }
	})
	elsewhere.held.PutAd(fakemeta.Ad{AdSetID: elsewhere.adset})
	_, err = elsewhere.account.Ads(t.Context(), false)
	note(err)
	for _, err := range errs {
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, token) || strings.Contains(text, "EAAsomebody") {
			t.Errorf("an error shows a token: %s", text)
		}
	}
	if strings.Contains(log.String(), token) || strings.Contains(log.String(), "EAAsomebody") {
		t.Errorf("the log shows a token: %s", log.String())
	}
}

func TestARevokedTokenIsSaidAndNotTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.held.SetTokens("another")
	_, err := w.account.Info(t.Context())
	if !meta.Unauthorized(err) || w.fake.Requests("") != 0 { // the fake counts what it let in
		t.Errorf("%v after %d requests", err, w.fake.Requests(""))
	}
	if _, err := w.client.Account("77", " ").Info(t.Context()); !meta.Unauthorized(err) {
		t.Errorf("without a token: %v", err)
	}
}
