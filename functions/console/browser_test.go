//go:build browser

package console_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/functions/allocate"
	"github.com/geminivideo/geminivideo/functions/campaigns"
	"github.com/geminivideo/geminivideo/functions/changes"
	"github.com/geminivideo/geminivideo/functions/console"
	"github.com/geminivideo/geminivideo/functions/direct"
	"github.com/geminivideo/geminivideo/functions/fatigue"
	"github.com/geminivideo/geminivideo/functions/predict"
	"github.com/geminivideo/geminivideo/functions/replay"
	"github.com/geminivideo/geminivideo/functions/revenue"
	"github.com/geminivideo/geminivideo/functions/tenants"
	"github.com/geminivideo/geminivideo/functions/winners"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/embed"
)

// A look with a real browser is a command of its own:
//
//	go test -tags browser ./functions/console -run InABrowser -browser chromium
//	go test -tags browser ./functions/console -run Pictures -browser chromium -url http://127.0.0.1:8080 -shots /tmp/shots
var (
	browser = flag.String("browser", "", "a Chromium `program` to look at the console with")
	address = flag.String("url", "", "the `address` of a running local system to take pictures of")
	shots   = flag.String("shots", "", "the `folder` for pictures")
)

// surface serves the real functions on a database of their own, and the session
// of role as the local system does.
func surface(t *testing.T, role auth.Role) string {
	t.Helper()
	w := apitest.New(t)
	manifest, err := functions.Load()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for name, h := range map[string]http.Handler{
		"allocate":  allocate.New(w.App, w.Access(), w.Queue),
		"campaigns": campaigns.New(w.App, w.Access(), w.Queue),
		"changes":   changes.New(w.App, w.Access(), w.Queue),
		"direct":    direct.New(w.App, w.Access(), w.Queue, nil, director.Config{Fallback: "template"}),
		"fatigue":   fatigue.New(w.App, w.Access(), w.Queue),
		"predict":   predict.New(w.App, w.Access(), embed.Only(embed.Local{})),
		"tenants":   tenants.New(w.App, w.Access(), w.Queue),
		"console":   console.New(nil),
		"replay":    replay.New(w.App, w.Access(), w.Queue),
		"revenue":   revenue.New(w.App, w.Access(), w.Queue),
		"winners":   winners.New(w.App, w.Access(), embed.Only(embed.Local{})),
	} {
		f, _ := manifest.Get(name)
		for _, p := range f.Paths {
			mux.Handle(p.String(), h)
		}
	}
	mux.HandleFunc("GET /_local/session", func(out http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(out).Encode(map[string]string{"token": w.Token(role)})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// hostile is a report whose names are markup, with one row that is wrong.
const hostile = `ad_id,ad_name,campaign_id,campaign_name,impressions,clicks,spend,daily_budget
a1,<img src=x onerror=window.caught=1>,c1,<script>window.caught=1</script>,10000,200,300.50,40
a2,Plain,c1,<script>window.caught=1</script>,9000,90,250.00,40
a3,Broken,c1,<script>window.caught=1</script>,10,20,1.00,40
`

func TestInABrowserABuyerImportsOptimizesAndRevalues(t *testing.T) {
	b := looking(t, auth.Editor)
	b.wait("document.querySelector('.empty')") // it says what to do next
	b.eval("document.querySelector('.empty a').click()")

	report := filepath.Join(t.TempDir(), "report.csv")
	if err := os.WriteFile(report, []byte(hostile), 0o600); err != nil {
		t.Fatal(err)
	}
	b.wait("document.querySelector('input[type=file]')")
	b.choose("input[type=file]", report)
	b.press("Check the file")
	b.says("Nothing has been written yet", "must not be above impressions")
	b.press("Import")
	b.wait("document.querySelector('a[href=\"#/campaigns\"].button')")
	b.eval("location.hash = '#/campaigns'")
	b.wait("document.querySelector('td a')")
	b.says("<script>window.caught=1</script>")

	b.eval("document.querySelector('td a').click()")
	b.wait("document.querySelector('input[type=number]')")
	b.says("<img src=x onerror=window.caught=1>")
	b.press("Optimize budget")
	b.wait("document.querySelector('[aria-label=\"Recommended budgets\"]')")
	b.says("RECOMMENDED", "$80.00")
	b.eval("document.querySelector('input[type=number]').value = 1e15")
	b.press("Optimize budget")
	b.wait("document.querySelector('form .said.bad')") // beside what was clicked
	b.says("total_budget")

	b.eval("location.hash = '#/pipeline'")
	b.wait("document.querySelector('.stage button')")
	b.press("Edit")
	b.eval("document.querySelector('.stage input').value = 123")
	b.press("Save")
	b.says("Saved.", "$123.00")

	b.eval("location.hash = '#/winners'")
	b.wait("document.querySelector('textarea')")
	b.eval("document.querySelector('textarea').value = '{\"hook_type\": \"question\"}'")
	b.press("Find similar winners")
	b.says("No winners yet")

	b.eval("location.hash = '#/decisions'")
	b.wait("document.querySelector('td a')")
	b.eval("document.querySelector('td a').click()")
	b.says("Known by then")
	if b.eval("document.querySelector('nav').innerText.includes('Dead letters')") != "false" {
		t.Error("an editor is offered the dead letters")
	}
	b.press("Sign out")
	b.wait("document.querySelector('textarea')")
	b.eval("document.querySelector('textarea').value = 'nonsense'")
	b.press("Sign in")
	b.says("This is not an access token")
	if got := b.eval("String(window.caught)"); got != "undefined" {
		t.Error("a name from the report was run as a script")
	}
	b.forgive("422") // the browser notes an answer that is no success
	b.noTroubles()
}

func TestInABrowserAViewerIsOfferedNothingToChange(t *testing.T) {
	b := looking(t, auth.Viewer)
	b.says("No campaigns yet")
	b.eval("location.hash = '#/import'") // there is no such view for a viewer
	b.says("No campaigns yet")
	b.eval("location.hash = '#/pipeline'")
	b.says("Closed won")
	if text := b.eval("document.body.innerText"); strings.Contains(text, "Edit") || strings.Contains(text, "Import") {
		t.Errorf("the page offers changes:\n%s", text)
	}
	b.noTroubles()
}

// looking opens the console on a system of its own.
func looking(t *testing.T, role auth.Role) *tab {
	t.Helper()
	if *browser == "" {
		t.Fatal("takes -browser chromium")
	}
	b := openTab(t, *browser)
	b.open(surface(t, role) + "/")
	return b
}

func TestPicturesOfALocalSystem(t *testing.T) {
	if *browser == "" || *address == "" || *shots == "" {
		t.Fatal("takes -browser, -url and -shots")
	}
	if err := os.MkdirAll(*shots, 0o755); err != nil {
		t.Fatal(err)
	}
	b := openTab(t, *browser)
	for _, look := range []struct {
		name, scheme string
		width        int
	}{{"light", "light", 1280}, {"dark", "dark", 1280}, {"phone", "light", 390}} {
		b.size(look.width, 860, look.scheme)
		shoot := func(name string, whole bool) { b.shoot(filepath.Join(*shots, look.name+"-"+name+".png"), whole) }
		b.open(*address + "/#/campaigns")
		b.wait("document.querySelector('td a')")
		shoot("campaigns", true)
		b.eval("document.querySelector('td a').click()")
		b.wait("document.querySelector('form button.primary')")
		b.press("Optimize budget")
		b.wait("document.querySelector('[aria-label=\"Recommended budgets\"]')")
		b.press("Queue these changes")
		b.wait("document.querySelector('a[href=\"#/changes\"]:not(nav a)')")
		shoot("campaign", false)
		shoot("whole-campaign", true)
		for _, view := range []string{"changes", "creatives", "winners", "pipeline", "decisions", "import", "dead-letters"} {
			b.eval("location.hash = '#/" + view + "'")
			b.wait("!document.querySelector('.loading') && document.querySelector('nav a[aria-current]').hash === '#/" + view + "'")
			switch view {
			case "changes":
				b.press("Look for tired ads")
				b.wait("document.querySelector('.said.good')")
			case "creatives":
				b.press("Judge it")
				b.wait("document.querySelector('[role=status] h3')")
			case "winners":
				b.eval("document.querySelector('.examples button').click()")
				b.wait("document.querySelector('.match, .empty')")
			}
			shoot(view, true)
		}
		b.eval("location.hash = '#/decisions'")
		b.wait("document.querySelector('td a') && location.hash === '#/decisions'")
		b.eval("document.querySelector('td a').click()")
		b.wait("document.querySelector('details')")
		shoot("decision", true)
		b.eval("location.hash = '#/creatives'")
		b.wait("document.querySelector('form button') && location.hash === '#/creatives'")
		b.press("Write the plan")
		b.wait("document.querySelector('[aria-label=Scenes]')")
		shoot("plan", true)
	}
	b.noTroubles()
}
