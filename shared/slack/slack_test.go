package slack_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/geminivideo/geminivideo/infra/testkit/fakeslack"
	"github.com/geminivideo/geminivideo/shared/slack"
)

const path = "/services/T1/B1/secret"

func open(t *testing.T) (*fakeslack.Fake, *slack.Client, string) {
	t.Helper()
	at := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	fake := &fakeslack.Fake{Now: func() time.Time { at = at.Add(time.Second); return at }}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return fake, slack.New(slack.Config{AllowLocal: true}), server.URL + path
}

// TestWhateverTheNamesAreSlackTakesTheMessage writes names of up to 3,000 characters of
// all kinds into sections.
func TestWhateverTheNamesAreSlackTakesTheMessage(t *testing.T) {
	t.Parallel()
	_, client, url := open(t)
	families := strings.Repeat("👨‍👩‍👧‍👦", 400)
	for _, name := range []string{
		"", " \n", strings.Repeat("x", 3000), strings.Repeat("&", 3000), strings.Repeat("<!channel>", 300), strings.Repeat("🎬", 3000), families,
		strings.Repeat("é", 3000), strings.Repeat("e\u0301", 1500), "\xff\xfe", strings.Repeat("👍🏽", 1500), strings.Repeat("❤️", 1500),
	} {
		lines := []string{}
		for range 60 {
			lines = append(lines, "*"+slack.Name(name, 3000)+"*")
		}
		for _, m := range slack.Split(name, append([]slack.Block{slack.Header(name)}, slack.Sections(lines...)...)) {
			if err := client.Post(t.Context(), url, m); err != nil {
				t.Errorf("a name of %d characters that begins %.20q: %v", utf8.RuneCountInString(name), name, err)
			}
		}
	}
}

func TestNoTextIsCutWithinAnEntityOrACharacter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOf(rapid.RuneFrom([]rune("ab&<>🎬é\u200d\ufe0f_*"))).Draw(t, "name")
		most := rapid.IntRange(10, 60).Draw(t, "most")
		got := slack.Name(name, most)
		if slack.Length(got) > most || !utf8.ValidString(got) {
			t.Fatalf("%q has %d units, more than %d", got, slack.Length(got), most)
		}
		for i := range got {
			if got[i] == '&' && !strings.HasPrefix(got[i:], "&amp;") && !strings.HasPrefix(got[i:], "&lt;") && !strings.HasPrefix(got[i:], "&gt;") {
				t.Fatalf("%q holds a part of an entity", got)
			}
		}
		if strings.ContainsAny(got, "<>*`~") || strings.HasSuffix(strings.TrimSuffix(got, "…"), "\u200d") && got != slack.Escape(name) {
			t.Fatalf("%q is markup, or ends in the middle of a character", got)
		}
	})
}

func TestAPackHasWholeGroupsAndOneAtLeast(t *testing.T) {
	t.Parallel()
	var groups [][]slack.Block
	for i := range 100 {
		groups = append(groups, []slack.Block{slack.Section(fmt.Sprint(i)), slack.Section(strings.Repeat("x", 100))})
	}
	sent := 0
	for len(groups) > 0 {
		m, n := slack.Pack("notices", groups)
		if n == 0 || len(m.Blocks) > slack.MaxBlocks || len(m.Blocks) != 2*n {
			t.Fatalf("%d groups in %d blocks", n, len(m.Blocks))
		}
		sent, groups = sent+n, groups[n:]
	}
	if sent != 100 {
		t.Errorf("%d groups of 100", sent)
	}
}

func TestWhatSlackAnswersIsUnderstoodAndNeverNamesTheAddress(t *testing.T) {
	t.Parallel()
	fake, client, url := open(t)
	m := slack.Split("x", []slack.Block{slack.Section("x")})[0]
	for _, c := range []struct {
		status        int
		code          string
		gone, refused bool
	}{
		{404, "no_service", true, false},
		{410, "channel_is_archived", true, false},
		{403, "action_prohibited", true, false},
		{400, "invalid_blocks", false, true},
		{500, "rollup_error", false, false},
		{302, "", false, false},
		{503, "<html>" + url, false, false},
	} {
		fake.Break(path, c.status, c.code)
		var f *slack.Failure
		if err := client.Post(t.Context(), url, m); !errors.As(err, &f) || f.Gone != c.gone || f.Refused != c.refused || f.RetryAfter != 0 || strings.Contains(f.Reason, "secret") {
			t.Errorf("%d %s: %+v", c.status, c.code, f)
		}
	}
	limited := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer limited.Close()
	var f *slack.Failure
	if err := client.Post(t.Context(), limited.URL+path, m); !errors.As(err, &f) || f.RetryAfter != 30*time.Second || f.Gone {
		t.Errorf("429: %+v", f)
	}
	limited.Close()
	if err := client.Post(t.Context(), limited.URL+path, m); !errors.As(err, &f) || f.Gone || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("nobody there: %v", err)
	}
	fake.Hang(path)
	hasty := slack.New(slack.Config{AllowLocal: true, Deadline: 50 * time.Millisecond})
	if err := hasty.Post(t.Context(), url, m); !errors.As(err, &f) || f.Reason != "Slack did not answer in time" {
		t.Errorf("a Slack that hangs: %v", err)
	}
}

func TestOnlySlacksOwnAddressesAreTaken(t *testing.T) {
	t.Parallel()
	client := slack.New(slack.Config{})
	for address, good := range map[string]bool{
		"https://hooks.slack.com/services/T0/B0/X": true, "https://hooks.slack-gov.com/services/T0/B0/X": true,
		"http://hooks.slack.com/services/T0/B0/X": false, "https://hooks.slack.com.evil.example/services/T0": false, "https://slack.com/services/T0": false,
		"https://hooks.slack.com:8443/services/T0": false, "https://hooks.slack.com/other": false, "https://a@hooks.slack.com/services/T0": false,
		"https://hooks.slack.com/services/T0?x=1": false, "": false, "hooks.slack.com": false, "http://127.0.0.1/services/T0": false,
	} {
		if rule := client.Check(address); (rule == "") != good {
			t.Errorf("%q: %q", address, rule)
		}
	}
}

func TestTheNextSummaryIsDueByTheZonesClocks(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	monday := time.Monday
	for _, c := range []struct {
		now  string
		hour int
		day  *time.Weekday
		want string
	}{
		{"2026-11-30T06:59:59Z", 8, nil, "2026-11-30T07:00:00Z"},
		{"2026-11-30T07:00:00Z", 8, nil, "2026-12-01T07:00:00Z"},
		{"2026-10-24T12:00:00Z", 8, nil, "2026-10-25T07:00:00Z"}, // the clocks went back in the night
		{"2026-03-28T12:00:00Z", 8, nil, "2026-03-29T06:00:00Z"}, // and forward
		{"2026-03-28T12:00:00Z", 2, nil, "2026-03-29T01:00:00Z"}, // there is no two o'clock
		{"2026-11-30T07:00:00Z", 8, &monday, "2026-12-07T07:00:00Z"},
		{"2026-12-01T00:00:00Z", 0, &monday, "2026-12-06T23:00:00Z"},
	} {
		now, _ := time.Parse(time.RFC3339, c.now)
		if got := slack.NextDue(now, berlin, c.hour, c.day).Format(time.RFC3339); got != c.want {
			t.Errorf("after %s: %s, want %s", c.now, got, c.want)
		}
	}
}
