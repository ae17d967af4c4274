package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"google.golang.org/api/cloudscheduler/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/pubsub/v1"
	cloudrun "google.golang.org/api/run/v2"

	"github.com/geminivideo/geminivideo/functions"
)

const testProject = "acme-ads"

// google is a project as Google's APIs show it, with the rules that a deployment meets:
// an operation ends later, a revision that does not start leaves the old one ready, a
// write without the current etag is refused, and a tag leads to its revision.
type google struct {
	t      *testing.T
	server *httptest.Server

	mu            sync.Mutex
	services      map[string]*cloudrun.GoogleCloudRunV2Service
	revisions     map[string][]*cloudrun.GoogleCloudRunV2Revision
	objects       map[string]int // uploads by name
	builds        []string       // objects built
	writes        []string       // "allocate 100% allocate-00001, next"
	secrets       map[string]bool
	apis          []string
	subscriptions map[string]*pubsub.Subscription
	jobs          map[string]*cloudscheduler.Job
	lackingAgent  map[string]bool

	// What is wrong with the next revision of a function.
	breaks   map[string]string // does not start, because
	sick     map[string]bool   // starts, and says of itself that it is not well
	badBuild map[string]string
}

func newGoogle(t *testing.T) *google {
	t.Helper()
	g := &google{
		t: t, services: map[string]*cloudrun.GoogleCloudRunV2Service{}, revisions: map[string][]*cloudrun.GoogleCloudRunV2Revision{},
		objects: map[string]int{}, secrets: map[string]bool{}, lackingAgent: map[string]bool{},
		subscriptions: map[string]*pubsub.Subscription{}, jobs: map[string]*cloudscheduler.Job{},
		breaks: map[string]string{}, sick: map[string]bool{}, badBuild: map[string]string{},
	}
	m, err := functions.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range wanted {
		g.apis = append(g.apis, name+".googleapis.com")
	}
	for _, f := range m.Functions {
		g.put(f)
	}
	g.server = httptest.NewServer(g.mux())
	t.Cleanup(g.server.Close)
	return g
}

// put makes everything of a function as Terraform does.
func (g *google) put(f functions.Function) {
	parent := "projects/" + testProject + "/locations/us-central1"
	s := &cloudrun.GoogleCloudRunV2Service{
		Name: parent + "/services/" + f.Name, Etag: "1", Uri: "https://" + f.Name + ".example", Ingress: "INGRESS_TRAFFIC_INTERNAL_ONLY",
		Template: &cloudrun.GoogleCloudRunV2RevisionTemplate{Containers: []*cloudrun.GoogleCloudRunV2Container{{Image: "first"}}},
		Traffic:  []*cloudrun.GoogleCloudRunV2TrafficTarget{{Type: toLatest, Percent: 100}},
	}
	if f.Trigger == functions.HTTP {
		s.Ingress, s.InvokerIamDisabled = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", true
	}
	g.services[f.Name] = s
	g.revise(f.Name, "")
	for _, name := range f.Secrets {
		g.secrets[secretID(name)] = true
	}
	switch f.Trigger {
	case functions.PubSub:
		g.subscriptions[f.Name] = &pubsub.Subscription{
			Name: "projects/" + testProject + "/subscriptions/" + f.Name, Topic: "projects/" + testProject + "/topics/" + f.Topic,
			PushConfig: &pubsub.PushConfig{PushEndpoint: s.Uri}, DeadLetterPolicy: &pubsub.DeadLetterPolicy{DeadLetterTopic: "x"},
		}
	case functions.Schedule:
		g.jobs[f.Name] = &cloudscheduler.Job{Name: parent + "/jobs/" + f.Name, State: "ENABLED", Schedule: f.Schedule}
	}
}

// revise makes a revision of the service's template; broken is why it does not start.
func (g *google) revise(name, broken string) {
	s := g.services[name]
	full := fmt.Sprintf("%s/revisions/%s-%05d", s.Name, name, len(g.revisions[name])+1)
	state := "CONDITION_SUCCEEDED"
	if broken != "" {
		state = "CONDITION_FAILED"
	}
	g.revisions[name] = append(g.revisions[name], &cloudrun.GoogleCloudRunV2Revision{
		Name: full, CreateTime: fmt.Sprintf("2026-11-30T00:00:%02dZ", len(g.revisions[name])),
		Containers: []*cloudrun.GoogleCloudRunV2Container{{Image: s.Template.Containers[0].Image}},
		Conditions: []*cloudrun.GoogleCloudRunV2Condition{{Type: "Ready", State: state, Message: broken}},
	})
	s.LatestCreatedRevision = full
	s.TerminalCondition = &cloudrun.GoogleCloudRunV2Condition{Type: "Ready", State: state, Message: broken}
	if broken == "" {
		s.LatestReadyRevision = full
	}
	g.route(s)
}

// route works out who has traffic, as Cloud Run shows it.
func (g *google) route(s *cloudrun.GoogleCloudRunV2Service) {
	s.TrafficStatuses = nil
	for _, t := range s.Traffic {
		revision := t.Revision
		if t.Type == toLatest {
			revision = last(s.LatestReadyRevision)
		}
		s.TrafficStatuses = append(s.TrafficStatuses, &cloudrun.GoogleCloudRunV2TrafficTargetStatus{
			Type: t.Type, Revision: revision, Percent: t.Percent, Tag: t.Tag,
		})
	}
}

func (g *google) mux() *http.ServeMux {
	const place = "/v2/projects/{project}/locations/{region}"
	mux := http.NewServeMux()
	handle := func(pattern string, h func(r *http.Request) (int, any)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			g.mu.Lock()
			defer g.mu.Unlock()
			status, body := h(r)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(body)
		})
	}
	handle("GET "+place+"/services", func(*http.Request) (int, any) {
		all := &cloudrun.GoogleCloudRunV2ListServicesResponse{}
		for _, s := range g.services {
			all.Services = append(all.Services, s)
		}
		return 200, all
	})
	handle("GET "+place+"/services/{name}", func(r *http.Request) (int, any) {
		if s, ok := g.services[r.PathValue("name")]; ok {
			return 200, s
		}
		return missing()
	})
	handle("PATCH "+place+"/services/{name}", g.patch)
	handle("GET "+place+"/services/{name}/revisions", func(r *http.Request) (int, any) {
		return 200, &cloudrun.GoogleCloudRunV2ListRevisionsResponse{Revisions: g.revisions[r.PathValue("name")]}
	})
	handle("GET "+place+"/operations/{id}", func(r *http.Request) (int, any) {
		return 200, &cloudrun.GoogleLongrunningOperation{Name: strings.TrimPrefix(r.URL.Path, "/v2/"), Done: true}
	})
	handle("POST "+place+"/builds:submit", g.build)
	handle("GET /v1/operations/{kind}/{project}/{id}", g.built)
	handle("POST /upload/storage/v1/b/{bucket}/o", g.upload)
	handle("GET /v1/projects/{project}/services", func(*http.Request) (int, any) {
		all := []map[string]string{}
		for _, name := range g.apis {
			all = append(all, map[string]string{"name": "projects/1/services/" + name, "state": "ENABLED"})
		}
		return 200, map[string]any{"services": all}
	})
	handle("GET /v1/projects/{project}/secrets/{id}/versions", func(r *http.Request) (int, any) {
		filled, ok := g.secrets[r.PathValue("id")]
		if !ok {
			return missing()
		}
		versions := []map[string]string{}
		if filled {
			versions = append(versions, map[string]string{"state": "ENABLED"})
		}
		return 200, map[string]any{"versions": versions}
	})
	handle("GET /v1/projects/{project}/subscriptions", func(*http.Request) (int, any) {
		all := &pubsub.ListSubscriptionsResponse{}
		for _, s := range g.subscriptions {
			all.Subscriptions = append(all.Subscriptions, s)
		}
		return 200, all
	})
	policy := func(role string) func(r *http.Request) (int, any) {
		return func(r *http.Request) (int, any) {
			p := &pubsub.Policy{}
			if !g.lackingAgent[strings.TrimSuffix(r.PathValue("name"), ":getIamPolicy")] {
				p.Bindings = []*pubsub.Binding{{Role: role, Members: []string{"serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com"}}}
			}
			return 200, p
		}
	}
	handle("GET /v1/projects/{project}/subscriptions/{name}", policy("roles/pubsub.subscriber"))
	handle("GET /v1/projects/{project}/topics/{name}", policy("roles/pubsub.publisher"))
	handle("GET /v1/projects/{project}/locations/{region}/jobs", func(*http.Request) (int, any) {
		all := &cloudscheduler.ListJobsResponse{}
		for _, j := range g.jobs {
			all.Jobs = append(all.Jobs, j)
		}
		return 200, all
	})
	handle("/", func(r *http.Request) (int, any) {
		g.t.Errorf("nothing answers %s %s", r.Method, r.URL.Path)
		return missing()
	})
	return mux
}

func missing() (int, any) {
	return 404, map[string]any{"error": map[string]any{"code": 404, "message": "not found"}}
}

func (g *google) patch(r *http.Request) (int, any) {
	name := r.PathValue("name")
	is := g.services[name]
	var want cloudrun.GoogleCloudRunV2Service
	if err := json.NewDecoder(r.Body).Decode(&want); err != nil || is == nil {
		return missing()
	}
	if want.Etag != is.Etag {
		return 409, map[string]any{"error": map[string]any{"code": 409, "message": "the etag is not the current one"}}
	}
	is.Etag += "1"
	revised := want.Template.Containers[0].Image != is.Template.Containers[0].Image
	if revised && want.Template.Revision != "" {
		return 409, map[string]any{"error": map[string]any{"code": 409, "message": "a revision of this name exists"}}
	}
	is.Template, is.Traffic, is.Annotations = want.Template, want.Traffic, want.Annotations
	if revised {
		g.revise(name, g.breaks[name])
	}
	g.route(is)
	var routes []string
	for _, t := range is.TrafficStatuses {
		routes = append(routes, fmt.Sprintf("%d%% %s%s", t.Percent, t.Revision, strings.TrimRight(" "+t.Tag, " ")))
	}
	g.writes = append(g.writes, strings.Join(routes, ", "))
	return 200, &cloudrun.GoogleLongrunningOperation{Name: is.Name[:strings.Index(is.Name, "/services/")] + "/operations/1"}
}

func (g *google) build(r *http.Request) (int, any) {
	var want cloudrun.GoogleCloudRunV2SubmitBuildRequest
	if err := json.NewDecoder(r.Body).Decode(&want); err != nil {
		return 400, nil
	}
	object := want.StorageSource.Object
	if g.objects[object] == 0 || want.BuildpackBuild.FunctionTarget != strings.Split(object, "/")[0] {
		return 400, map[string]any{"error": map[string]any{"code": 400, "message": "no such source: " + object}}
	}
	g.builds = append(g.builds, object)
	return 200, &cloudrun.GoogleCloudRunV2SubmitBuildResponse{
		BaseImageUri:   want.BuildpackBuild.BaseImage,
		BuildOperation: &cloudrun.GoogleLongrunningOperation{Name: "operations/build/" + testProject + "/" + want.BuildpackBuild.FunctionTarget},
	}
}

func (g *google) built(r *http.Request) (int, any) {
	name := r.PathValue("id")
	if why := g.badBuild[name]; why != "" {
		return 200, map[string]any{"name": r.URL.Path, "done": true, "error": map[string]any{"code": 3, "message": why}}
	}
	image := map[string]any{
		"name":   "us-central1-docker.pkg.dev/" + testProject + "/functions/" + name + ":tag",
		"digest": fmt.Sprintf("sha256:%d", len(g.builds)),
	}
	results := map[string]any{"results": map[string]any{"images": []any{image}}}
	return 200, map[string]any{"name": r.URL.Path, "done": true, "response": results}
}

func (g *google) upload(r *http.Request) (int, any) {
	text, _ := io.ReadAll(r.Body)
	object := struct{ Name string }{}
	for part := range strings.SplitSeq(string(text), "\r\n\r\n") {
		if strings.HasPrefix(strings.TrimSpace(part), "{") {
			_ = json.NewDecoder(strings.NewReader(part)).Decode(&object)
			break
		}
	}
	if g.objects[object.Name]++; g.objects[object.Name] > 1 && r.URL.Query().Get("ifGenerationMatch") == "0" {
		return 412, map[string]any{"error": map[string]any{"code": 412, "message": "it is there"}}
	}
	return 200, map[string]string{"name": object.Name}
}

// dial opens the fake project's APIs.
func (g *google) dial(ctx context.Context, project, region string) (*cloud, error) {
	return open(ctx, project, region, func(api string) []option.ClientOption {
		base := g.server.URL + "/"
		if strings.HasPrefix(api, "storage") {
			base += "storage/v1/"
		}
		return []option.ClientOption{option.WithEndpoint(base), option.WithHTTPClient(g.server.Client())}
	})
}

// RoundTrip is the load balancer: the header leads to the revision tagged next.
func (g *google) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := httptest.NewRecorder()
	name := r.Header.Get(nextHeader)
	switch s := g.services[name]; {
	case name == "" && r.URL.Path == "/webhooks/hubspot":
		w.WriteHeader(401)
		_, _ = io.WriteString(w, `{"title":"Unauthorized","error":"Invalid signature"}`)
	case s == nil || len(s.Traffic) < 2 || s.Traffic[1].Tag != nextTag:
		w.WriteHeader(404)
		_, _ = io.WriteString(w, "<html>Google's 404</html>")
	case g.sick[name]:
		w.WriteHeader(503)
		_, _ = io.WriteString(w, `{"title":"Service Unavailable","detail":"not healthy: WIDGET_URL is missing"}`)
	default:
		_, _ = io.WriteString(w, `{"status":"ok"}`)
	}
	return w.Result(), nil
}
