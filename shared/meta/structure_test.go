package meta_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/meta"
)

func TestListsAreReadToTheEndByCursorsAndByOffsets(t *testing.T) {
	t.Parallel()
	for _, offsets := range []bool{false, true} {
		w := newWorld(t, func(o *fakemeta.Options, _ *fakemeta.AccountConfig, m *meta.Options) {
			o.Offsets, m.PageSize = offsets, 3
		})
		for i := range 10 {
			w.held.PutAd(fakemeta.Ad{AdSetID: w.adset, Name: fmt.Sprint(i)})
		}
		w.held.PutAd(fakemeta.Ad{AdSetID: w.adset, Status: "DELETED"})
		old := w.held.PutAd(fakemeta.Ad{AdSetID: w.adset, Status: "ARCHIVED"})
		ads, err := w.account.Ads(t.Context(), false)
		if err != nil || len(ads) != 11 {
			t.Errorf("offsets %t: %d ads, %v", offsets, len(ads), err)
		}
		for _, ad := range ads {
			if ad.ID == w.ad && (ad.Title != "Join" || ad.Body != "Train with us" || ad.CallToAction != "SIGN_UP" || ad.AdSetID != w.adset || !ad.CreatedAt.Equal(w.clock.Now())) {
				t.Errorf("%+v", ad)
			}
		}
		ads, err = w.account.Ads(t.Context(), true)
		if err != nil || len(ads) != 1 || ads[0].ID != old {
			t.Errorf("archived: %v %v", ads, err)
		}
		sets, err := w.account.AdSets(t.Context())
		if err != nil || len(sets) != 1 || *sets[0].DailyBudget != 5000 || !sets[0].Learning {
			t.Errorf("ad sets: %+v %v", sets, err)
		}
		campaigns, err := w.account.Campaigns(t.Context(), false)
		if err != nil || len(campaigns) != 1 || campaigns[0].DailyBudget != nil || campaigns[0].Name != "Clubs" {
			t.Errorf("campaigns: %+v %v", campaigns, err)
		}
	}
}

func TestPagesThatLeadAwayOrRoundInACircleAreNotFollowed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(string) string{
		"another server":  func(a string) string { return strings.Replace(a, "memory.test", "elsewhere.example", 1) },
		"another edge":    func(a string) string { return strings.Replace(a, "/ads?", "/users?", 1) },
		"another scheme":  func(a string) string { return strings.Replace(a, "http:", "ftp:", 1) },
		"no address":      func(string) string { return "://%" },
		"the same again":  func(a string) string { return a[:strings.LastIndex(a, "offset=")] + "offset=1" },
		"never any place": func(a string) string { return strings.Replace(a, "offset=", "elsewhere=", 1) },
	} {
		w := newWorld(t, func(o *fakemeta.Options, _ *fakemeta.AccountConfig, m *meta.Options) {
			o.Offsets, o.Next, m.PageSize = true, change, 1
		})
		for range 4 {
			w.held.PutAd(fakemeta.Ad{AdSetID: w.adset})
		}
		if ads, err := w.account.Ads(t.Context(), false); err == nil || w.fake.Requests("GET ads") > 4 {
			t.Errorf("%s: %d ads after %d requests, %v", name, len(ads), w.fake.Requests("GET ads"), err)
		}
	}
}

func TestAPageThatIsTooMuchBecomesSmaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.know()
	w.fake.Inject(fakemeta.Fault{Path: "act_77/ads", Status: 500, Code: 1, Message: "Please reduce the amount of data you're asking for, then retry your request"})
	if ads, err := w.account.Ads(t.Context(), false); err != nil || len(ads) != 1 {
		t.Errorf("%v %v", ads, err)
	}
}

func TestAnAnswerWithoutEndIsNotReadToTheEnd(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for piece := bytes.Repeat([]byte(" "), 1<<20); r.Context().Err() == nil && sent.Load() < 200; sent.Add(1) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	_, err := meta.New(meta.Config{BaseURL: server.URL}, meta.Options{}).Account("7", token).Info(t.Context())
	if err == nil || !strings.Contains(err.Error(), "larger than 32 MiB") || sent.Load() > 100 {
		t.Errorf("%v after %d MiB", err, sent.Load())
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the token went elsewhere") }))
	defer elsewhere.Close()
	w := newWorld(t, func(_ *fakemeta.Options, _ *fakemeta.AccountConfig, o *meta.Options) { o.Attempts = 2 })
	w.know()
	w.fake.Inject(fakemeta.Fault{Status: 302, Headers: map[string]string{"Location": elsewhere.URL}, Times: 9})
	_, err := w.account.SetStatus(t.Context(), "ad/"+w.ad, "PAUSED", false)
	if err == nil || w.applied() != 0 {
		t.Errorf("%v", err)
	}
	if _, err := w.account.Read(t.Context(), "ad/"+w.ad); err == nil {
		t.Error("a redirect was an answer")
	}
}
