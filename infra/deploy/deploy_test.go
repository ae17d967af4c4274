package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
)

// at is a deployment to the fake project, of archives that cost nothing to make.
func at(t *testing.T, g *google, out *strings.Builder, names ...string) *deployment {
	t.Helper()
	m, err := functions.Load()
	if err != nil {
		t.Fatal(err)
	}
	c, err := g.dial(t.Context(), testProject, "us-central1")
	if err != nil {
		t.Fatal(err)
	}
	return &deployment{
		options: options{
			project: testProject, region: "us-central1", domain: "api.example.com", baseImage: "google-24/runtimes/go126", names: names,
		},
		manifest: m, cloud: c, out: out, client: &http.Client{Transport: g},
		sleep: func(context.Context, time.Duration) error { return nil },
	}
}

func stepOf(t *testing.T, d *deployment, g *google, name, hash string) step {
	t.Helper()
	f, ok := d.manifest.Get(name)
	if !ok {
		t.Fatal(name)
	}
	services, err := d.cloud.services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := step{archive: archive{function: f, zip: []byte("zip of " + name), hash: hash}, service: services[name]}
	if s.service != nil {
		s.was = s.service.Annotations[annotation]
	}
	return s
}

func TestANewRevisionIsAskedBeforeItGetsTraffic(t *testing.T) {
	t.Parallel()
	g, out := newGoogle(t), &strings.Builder{}
	d := at(t, g, out)
	revision, err := d.deploy(t.Context(), stepOf(t, d, g, "hubspot", "aaaa"))
	if err != nil || revision != "hubspot-00002" {
		t.Fatalf("%s, %v", revision, err)
	}
	want := []string{"100% hubspot-00001, 0% hubspot-00002 next", "100% hubspot-00002"}
	if !slices.Equal(g.writes, want) {
		t.Errorf("traffic went %q, want %q", g.writes, want)
	}
	s := g.services["hubspot"]
	container := s.Template.Containers[0]
	if s.Annotations[annotation] != "aaaa" || !strings.Contains(container.Image, "/functions/hubspot@sha256:1") || container.BaseImageUri == "" {
		t.Errorf("%+v runs %+v", s.Annotations, container)
	}
	next := stepOf(t, d, g, "hubspot", "aaaa")
	if next.due() {
		t.Error("the same archive is due again")
	}
	// A deployment that was cut off is repeated: its archive is there already.
	if _, err := d.deploy(t.Context(), next); err != nil || g.objects["hubspot/aaaa.zip"] != 2 {
		t.Errorf("the second time: %v", err)
	}
}

func TestARevisionThatFailsGetsNoTraffic(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		function string
		make     func(*google)
		want     string
	}{
		"the start-up probe fails": {
			"sweep", func(g *google) { g.breaks["sweep"] = "the start-up probe got 503" },
			"did not start: the start-up probe got 503; sweep-00001 keeps the traffic",
		},
		"it says that it is sick": {"clicks", func(g *google) { g.sick["clicks"] = true }, "WIDGET_URL is missing"},
		"the build fails":         {"sweep", func(g *google) { g.badBuild["sweep"] = "undefined: x" }, "the build failed: undefined: x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGoogle(t)
			c.make(g)
			d := at(t, g, &strings.Builder{})
			_, err := d.deploy(t.Context(), stepOf(t, d, g, c.function, "bbbb"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			s := g.services[c.function]
			if got := serving(s); got != c.function+"-00001" || s.Annotations[annotation] != "" {
				t.Errorf("%s has the traffic, and is marked %v", got, s.Annotations)
			}
			for _, routes := range g.writes {
				if strings.HasPrefix(routes, "100% "+c.function+"-00002") {
					t.Errorf("it had traffic: %q", g.writes)
				}
			}
			if len(s.Traffic) != 1 {
				t.Errorf("the tag is left: %+v", s.Traffic)
			}
			// Mended, it goes out.
			g.breaks, g.sick, g.badBuild = map[string]string{}, map[string]bool{}, map[string]string{}
			if _, err := d.deploy(t.Context(), stepOf(t, d, g, c.function, "cccc")); err != nil {
				t.Errorf("mended: %v", err)
			}
		})
	}
}

func TestARollBackGivesTheTrafficToTheRevisionBefore(t *testing.T) {
	t.Parallel()
	g, out := newGoogle(t), &strings.Builder{}
	d := at(t, g, out)
	for _, hash := range []string{"aaaa", "bbbb"} {
		if _, err := d.deploy(t.Context(), stepOf(t, d, g, "sweep", hash)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.rollBack(t.Context(), "sweep"); err != nil {
		t.Fatal(err)
	}
	if got := serving(g.services["sweep"]); got != "sweep-00002" || !strings.Contains(out.String(), "sweep-00002 has the traffic again, instead of sweep-00003") {
		t.Errorf("%s has the traffic\n%s", got, out)
	}
	if err := d.rollBack(t.Context(), "sweep"); err != nil || serving(g.services["sweep"]) != "sweep-00001" {
		t.Errorf("a second step back: %v, %s", err, serving(g.services["sweep"]))
	}
	if err := d.rollBack(t.Context(), "sweep"); err == nil || !strings.Contains(err.Error(), "no ready revision older than sweep-00001") {
		t.Errorf("%v", err)
	}
	// The code that was rolled back is due again, and takes the pin away.
	next := stepOf(t, d, g, "sweep", "bbbb")
	if !next.due() || !pinned(next.service) {
		t.Errorf("due %t, pinned %t", next.due(), pinned(next.service))
	}
	if _, err := d.deploy(t.Context(), next); err != nil || pinned(g.services["sweep"]) {
		t.Errorf("%v", err)
	}
}

func TestAStateThatMovedMeanwhileIsNotOverwritten(t *testing.T) {
	t.Parallel()
	g := newGoogle(t)
	d := at(t, g, &strings.Builder{})
	old := stepOf(t, d, g, "sweep", "aaaa")
	g.services["sweep"].Etag = "moved" // Terraform, say
	if _, err := d.deploy(t.Context(), old); err == nil || !strings.Contains(err.Error(), "etag") {
		t.Errorf("%v", err)
	}
	if got := serving(g.services["sweep"]); got != "sweep-00001" {
		t.Errorf("%s has the traffic", got)
	}
}

func TestTheDoctorNamesWhatIsMissingInOrder(t *testing.T) {
	t.Parallel()
	g, out := newGoogle(t), &strings.Builder{}
	d := at(t, g, out)
	d.db = pgtest.New(t).AdminURL
	env := func(string) string { return "" }
	// Everything is there but what cannot be seen without Supabase's token, and a tenant.
	if err := d.examine(t.Context(), env); err == nil || !strings.Contains(err.Error(), "2 things") {
		t.Errorf("%v\n%s", err, out)
	}
	out.Reset()
	g.apis = g.apis[1:]
	g.secrets["database-url"] = false
	delete(g.secrets, "worker-database-url")
	delete(g.services, "refresh")
	g.services["sweep"].Ingress = "INGRESS_TRAFFIC_ALL"
	delete(g.subscriptions, "index")
	g.subscriptions["notify"].PushConfig.PushEndpoint = "https://elsewhere.example"
	g.lackingAgent["crmevent"], g.lackingAgent["dead-letter"] = true, true
	g.jobs["execute"].State = "PAUSED"
	if err := d.examine(t.Context(), env); err == nil {
		t.Fatal("nothing is wrong")
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		if number, rest, ok := strings.Cut(strings.TrimSpace(line), ". "); ok && len(number) < 3 {
			got = append(got, rest)
		}
	}
	want := []string{
		"APIs: not enabled: artifactregistry.googleapis.com",
		"secrets: the secret database-url has no enabled version",
		"secrets: there is no secret worker-database-url",
		"database: no tenant has an admin: nobody can sign in",
		"sign-in: not looked at: whether the access token hook is on",
		"functions: not there: refresh",
		"functions: sweep has the ingress INGRESS_TRAFFIC_ALL, not INGRESS_TRAFFIC_INTERNAL_ONLY",
		"messages: Pub/Sub's agent may not take messages off crmevent: what fails for good is pushed for ever",
		"messages: the topic winner-found has no subscription index",
		"messages: the subscription notify does not push to its function",
		"messages: Pub/Sub's agent may not publish to dead-letter",
		"schedules: the job of execute is paused",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(out.String(), "ok  webhook") {
		t.Errorf("the webhook is right:\n%s", out)
	}
}

func TestAWrongCallSaysWhatIsMissingOrUnknown(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	for want, args := range map[string][]string{
		"no project":        {"-doctor"},
		"no domain":         {"-project", "p"},
		"bare host name":    {"-project", "p", "-domain", "https://x"},
		"exclude each":      {"-plan", "-doctor", "-project", "p"},
		`function "nobody"`: {"-plan", "nobody"},
	} {
		err := run(t.Context(), args, none, &strings.Builder{}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
