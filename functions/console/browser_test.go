package console_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// A look with a real browser is a command of its own:
//
//	go test ./functions/console -run InABrowser -browser chromium
//	go test ./functions/console -run Pictures -browser chromium -url http://127.0.0.1:8080 -shots /tmp/shots
var (
	browser = flag.String("browser", "", "a Chromium `program` to look at the console with")
	address = flag.String("url", "", "the `address` of a running local system to take pictures of")
	shots   = flag.String("shots", "", "the `folder` for pictures")
)

func TestPicturesOfALocalSystem(t *testing.T) {
	if *browser == "" || *address == "" || *shots == "" {
		t.Skip("takes -browser, -url and -shots")
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
		shoot := func(name string) { b.shoot(filepath.Join(*shots, look.name+"-"+name+".png"), true) }
		b.open(*address + "/#/campaigns")
		b.wait("document.querySelector('td a')")
		shoot("campaigns")
		b.eval("document.querySelector('td a').click()")
		b.wait("document.querySelector('form button.primary')")
		b.eval("document.querySelector('form button.primary').click()")
		b.wait("document.querySelector('[aria-label=\"Recommended budgets\"]')")
		shoot("campaign")
		b.shoot(filepath.Join(*shots, look.name+"-first.png"), false)
		for _, view := range []string{"winners", "pipeline", "decisions", "import", "dead-letters"} {
			b.eval("location.hash = '#/" + view + "'")
			b.wait("!document.querySelector('.loading') && document.querySelector('nav a[aria-current]').hash === '#/" + view + "'")
			if view == "winners" {
				b.eval("document.querySelector('button.plain[type=button]').click()")
				b.wait("document.querySelector('.match, .empty')")
			}
			shoot(view)
		}
		b.eval("location.hash = '#/decisions'")
		b.wait("document.querySelector('td a') && location.hash === '#/decisions'")
		b.eval("document.querySelector('td a').click()")
		b.wait("document.querySelector('details')")
		shoot("decision")
	}
	b.noTroubles()
}
