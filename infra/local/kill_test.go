package main

import (
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
)

// TestAThousandEventsEndTheSameWhateverIsKilled plays the same story to two
// systems. One is left alone. Of the other the process is killed, then the
// database, then the process again, each while the queue is full.
func TestAThousandEventsEndTheSameWhateverIsKilled(t *testing.T) {
	t.Parallel()
	began := time.Now().UTC().Truncate(time.Second)

	calmDir := t.TempDir()
	calm := launch(t, "-addr", anyPort, "-db", pgtest.Empty(t).AdminURL, "-data", calmDir, "-demo=false").ready(calmDir)
	calm.play(began, 0, storyDeals)
	want := calm.restingState()

	dir := t.TempDir()
	start := func() *process { return launch(t, "-addr", anyPort, "-data", dir, "-demo=false").ready(dir) }
	p := start()
	p.play(began, 0, storyDeals/3)
	p.end(syscall.SIGKILL)
	p = start()
	p.play(began, storyDeals/3, 2*storyDeals/3)
	p.killDatabase()
	p.end(syscall.SIGKILL)
	p = start()
	p.play(began, 2*storyDeals/3, storyDeals)
	p.end(syscall.SIGKILL)
	p = start()
	if diff := cmp.Diff(want, p.restingState()); diff != "" {
		t.Errorf("left alone (-), killed three times (+):\n%s", diff)
	}
	events := query[int](p, "ADMIN_DATABASE_URL", `SELECT count(*) FROM gv.inbox WHERE consumer = 'crmevent'`)
	if events < 1000 {
		t.Errorf("only %d events were handled: the test proves less than it says", events)
	}
	t.Logf("%d events, 3 kills", events)
}

const (
	storyDeals = 100
	storyAds   = 4
)

// play lets deals from up to until happen in the CRM: each has a contact that
// clicked an ad, and moves on.
func (p *process) play(began time.Time, from, until int) {
	p.t.Helper()
	if from == 0 {
		p.importAds()
	}
	portal := "/_local/hubspot/control/portals/" + p.env["PORTAL_ID"]
	for n := from; n < until; n++ {
		at := func(hours int) string { return began.Add(time.Duration(hours-150) * time.Hour).Format(time.RFC3339) }
		fbclid := fmt.Sprintf("story-%d", n)
		p.want(200, "POST", "/api/ml/attribution/track-click", "SERVER_KEY", fmt.Sprintf(
			`{"tenant_id": %q, "ad_id": "story-ad-%d", "campaign_id": "story", "click_id": "click-%d", "fbclid": %q, "clicked_at": %q}`,
			p.env["TENANT_ID"], n%storyAds, n, fbclid, at(0)))
		contact := p.made(portal+"/contacts", fmt.Sprintf(
			`{"properties": {"hs_facebook_click_id": %q, "first_conversion_date": %q}, "at": %q}`, fbclid, at(1), at(1)))
		deal := p.made(portal+"/deals", fmt.Sprintf(
			`{"name": "d", "stage": "appointmentscheduled", "amount": "%d.25", "currency": "USD", "contacts": [%s], "at": %q}`, 100+n, contact, at(2)))
		for i, stage := range []string{"closedwon", "closedlost", "closedwon"}[:n%4] {
			p.want(200, "POST", portal+"/deals/"+deal+"/stage", "", fmt.Sprintf(`{"stage": %q, "at": %q}`, stage, at(10+i)))
		}
	}
}

func (p *process) made(path, body string) string {
	p.t.Helper()
	var made struct{ ID json.Number }
	if err := json.Unmarshal([]byte(p.want(200, "POST", path, "", body)), &made); err != nil {
		p.t.Fatal(err)
	}
	return made.ID.String()
}

func (p *process) importAds() {
	p.t.Helper()
	var body strings.Builder
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "ads.csv")
	if err != nil {
		p.t.Fatal(err)
	}
	fmt.Fprintln(part, "Ad ID,Campaign ID,Impressions,Clicks (all),Amount spent (USD)")
	for n := range storyAds {
		fmt.Fprintf(part, "story-ad-%d,story,10000,200,60.00\n", n)
	}
	if err := form.Close(); err != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+"/api/ads/import", strings.NewReader(body.String()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Authorization", "Bearer "+p.env["TOKEN"])
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		p.t.Fatalf("import: %s", resp.Status)
	}
}

// killDatabase ends the postmaster as a power cut would.
func (p *process) killDatabase() {
	p.t.Helper()
	first := query[string](p, "ADMIN_DATABASE_URL", `SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)`)
	pid, err := strconv.Atoi(first)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
}

// restingState waits until nothing is on its way any more and returns the ledger and
// the ads, without processing times.
func (p *process) restingState() []string {
	p.t.Helper()
	idle := func() bool {
		queue := p.want(200, "GET", "/_local/queue", "", "")
		crm := p.want(200, "GET", "/_local/hubspot/control/portals/"+p.env["PORTAL_ID"], "", "")
		return !busy.MatchString(queue) && strings.Contains(stripped(crm), `"pending":[]`) &&
			query[int](p, "ADMIN_DATABASE_URL", `SELECT count(*) FROM gv.deals WHERE state = 'live'`) == storyDeals
	}
	for deadline := time.Now().Add(12 * time.Minute); !idle(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("still working after 12 minutes: %s", p.want(200, "GET", "/_local/queue", "", ""))
		}
	}
	conn, err := pgx.Connect(p.t.Context(), p.env["ADMIN_DATABASE_URL"])
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, _ := conn.Query(p.t.Context(), `
		SELECT (to_jsonb(d) - 'processed_at')::text FROM gv.deals d
		UNION ALL SELECT (to_jsonb(a) - 'created_at' - 'updated_at')::text FROM gv.ads a
		UNION ALL SELECT to_jsonb(s)::text FROM gv.deal_stages s
		UNION ALL SELECT concat_ws(' ', 'winner', ad_id, active, pipeline_roas) FROM gv.winners
		UNION ALL SELECT concat('dead letter ', reason) FROM gv.dead_letters
		ORDER BY 1`)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		p.t.Fatal(err)
	}
	return lines
}

var busy = regexp.MustCompile(`"(due|handling|backing_off)": ?[1-9]`)

func stripped(s string) string { return strings.NewReplacer(" ", "", "\n", "").Replace(s) }
