package terraform_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions"
)

// granted reads a right from a resource; ok is false for what grants none.
func granted(i instance) (r right, ok bool) {
	on := map[string]func() string{
		"google_project_iam_member":                      func() string { return project },
		"google_secret_manager_secret_iam_member":        func() string { return i.text("secret_id") },
		"google_pubsub_topic_iam_member":                 func() string { return i.text("topic") },
		"google_pubsub_subscription_iam_member":          func() string { return "subscription " + i.text("subscription") },
		"google_storage_bucket_iam_member":               func() string { return i.text("bucket") },
		"google_service_account_iam_member":              func() string { return i.text("service_account_id") },
		"google_cloud_run_v2_service_iam_member":         func() string { return "service " + i.text("name") },
		"google_artifact_registry_repository_iam_member": func() string { return "repository" },
	}[i.kind]
	if on == nil {
		return right{}, false
	}
	r = right{on(), i.text("role"), i.text("member"), ""}
	for _, c := range i.blocks["condition"] {
		r.condition = c.text("expression")
	}
	return r, true
}

// review lists what of the resources a review of the rights refuses.
func review(m *functions.Manifest, all []instance) (complaints []string) {
	want := map[right]bool{}
	for _, r := range append(ofTheManifest(m), ofTheDeployment...) {
		want[r] = true
	}
	say := func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }
	for _, i := range all {
		if r, ok := granted(i); ok {
			if !want[r] {
				say("%s: %s, which nothing in functions.yaml asks for", i, r)
			}
			want[r] = false
			continue
		}
		switch {
		case strings.Contains(i.kind, "_iam_binding") || strings.Contains(i.kind, "_iam_policy") || i.kind == "google_service_account_key":
			say("%s: rights are given one by one, with _iam_member, and no key is made", i)
		case i.kind == "google_project_iam_custom_role":
			var has []string
			for it := i.attributes["permissions"].ElementIterator(); it.Next(); {
				_, v := it.Element()
				has = append(has, v.AsString())
			}
			slices.Sort(has)
			if !slices.Equal(has, permissions[i.name]) {
				say("%s has the permissions %v, not %v", i, has, permissions[i.name])
			}
		case i.kind == "google_cloud_run_v2_service":
			complaints = append(complaints, reviewService(m, i)...)
		}
	}
	for _, r := range slices.SortedFunc(maps.Keys(want), func(a, b right) int { return strings.Compare(a.String(), b.String()) }) {
		if want[r] {
			say("nothing gives: %s", r)
		}
	}
	return complaints
}

// reviewService looks at who can reach a function, and as whom it runs.
func reviewService(m *functions.Manifest, i instance) (complaints []string) {
	f, ok := m.Get(i.key)
	if !ok {
		return []string{fmt.Sprintf("%s is no function of the manifest", i)}
	}
	ingress, open := "INGRESS_TRAFFIC_INTERNAL_ONLY", "false"
	if f.Trigger == functions.HTTP {
		ingress, open = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", "true"
	}
	template := i.blocks["template"][0]
	for what, pair := range map[string][2]string{
		"ingress":              {i.text("ingress"), ingress},
		"invoker_iam_disabled": {i.text("invoker_iam_disabled"), open},
		"service_account":      {template.text("service_account"), fmt.Sprintf("google_service_account.function[%q].email", f.Name)},
	} {
		if pair[0] != pair[1] {
			complaints = append(complaints, fmt.Sprintf("%s: %s is %s, not %s", i, what, pair[0], pair[1]))
		}
	}
	allowed := append(slices.Concat(f.Secrets, f.OptionalSecrets, f.Settings), "GOMEMLIMIT", "GOMAXPROCS", "CLOUD_RUN_TIMEOUT_SECONDS")
	for _, env := range template.blocks["containers"][0].blocks["env"] {
		if !slices.Contains(allowed, env.text("name")) {
			complaints = append(complaints, fmt.Sprintf("%s is given %s, which its entry does not name", i, env.text("name")))
		}
	}
	return complaints
}

func TestEachRightIsAskedForByTheManifest(t *testing.T) {
	t.Parallel()
	for _, complaint := range review(manifest(t), load(t, nil).all(t)) {
		t.Error(complaint)
	}
}

func TestARightThatIsAddedByHandIsFound(t *testing.T) {
	t.Parallel()
	const console = `member = google_service_account.function["console"].member`
	for want, text := range map[string]string{
		"function[\"console\"].member has " + accessor: `resource "google_secret_manager_secret_iam_member" "more" {
			secret_id = google_secret_manager_secret.deployment["DATABASE_URL"].id
			role      = "roles/secretmanager.secretAccessor"
			` + console + "\n}",
		"has roles/pubsub.publisher on google_pubsub_topic.this[\"crm-events\"]": `resource "google_pubsub_topic_iam_member" "more" {
			topic = google_pubsub_topic.this["crm-events"].id
			role  = "roles/pubsub.publisher"
			` + console + "\n}",
		"has roles/storage.objectAdmin on acme-ads-videos": `resource "google_storage_bucket_iam_member" "more" {
			bucket = google_storage_bucket.videos.name
			role   = "roles/storage.objectAdmin"
			` + console + "\n}",
		"has roles/editor on the project": `resource "google_project_iam_member" "more" {
			project = var.project_id
			role    = "roles/editor"
			` + console + "\n}",
		"allUsers has roles/run.invoker on service": `resource "google_cloud_run_v2_service_iam_member" "more" {
			name   = "sweep"
			role   = "roles/run.invoker"
			member = "allUsers"
		}`,
		"rights are given one by one": `resource "google_project_iam_binding" "more" {
			project = var.project_id
			role    = "roles/viewer"
			members = ["allAuthenticatedUsers"]
		}`,
		"more has the permissions [secretmanager.secrets.delete]": `resource "google_project_iam_custom_role" "more" {
			role_id     = "more"
			title       = "more"
			permissions = ["secretmanager.secrets.delete"]
		}`,
		"is no function of the manifest": `resource "google_cloud_run_v2_service" "more" {
			for_each = toset(["extra"])
			name     = "extra"
			location = var.region
			template {}
		}`,
	} {
		got := strings.Join(review(manifest(t), load(t, map[string]string{"more.tf": text}).all(t)), "\n")
		if !strings.Contains(got, want) {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestARightThatIsTakenAwayIsFound(t *testing.T) {
	t.Parallel()
	r := load(t, nil)
	delete(r.resources, "google_pubsub_subscription_iam_member.agent")
	got := strings.Join(review(manifest(t), r.all(t)), "\n")
	if !strings.Contains(got, "nothing gives: "+agent+" has roles/pubsub.subscriber on subscription crmevent") {
		t.Errorf("got %s", got)
	}
}

// asksForNoToken are the functions that strangers call without Supabase's token: the
// page itself, and the doors that check a key or a signature.
var asksForNoToken = []string{"clicks", "console", "dealhook", "hubspot", "leadads"}

func TestOnlySignedDoorsAskForNoToken(t *testing.T) {
	t.Parallel()
	for _, f := range manifest(t).Functions {
		if f.Public && !slices.Contains(asksForNoToken, f.Name) {
			t.Errorf("%s is public; if it checks a signature or a key itself, add it here", f.Name)
		}
	}
}

func TestOnlyPubSubAndSchedulerInvokeWhatStrangersDoNotReach(t *testing.T) {
	t.Parallel()
	m := manifest(t)
	for _, i := range load(t, nil).all(t) {
		switch i.kind {
		case "google_pubsub_subscription":
			if i.name != "push" {
				continue
			}
			push := i.blocks["push_config"][0]
			uri := fmt.Sprintf("google_cloud_run_v2_service.function[%q].uri", i.key)
			if push.text("push_endpoint") != uri || push.blocks["oidc_token"][0].text("audience") != uri ||
				push.blocks["oidc_token"][0].text("service_account_email") != `google_service_account.caller["pubsub"].email` {
				t.Errorf("%s pushes to %s as %v", i, push.text("push_endpoint"), push.blocks["oidc_token"][0].attributes)
			}
		case "google_cloud_scheduler_job":
			f, _ := m.Get(i.key)
			target := i.blocks["http_target"][0]
			var deadline int
			_, err := fmt.Sscanf(i.text("attempt_deadline"), "%ds", &deadline)
			if err != nil || deadline < int(f.Timeout.Seconds()) || deadline > 1800 ||
				i.text("time_zone") != "Etc/UTC" || i.text("schedule") != f.Schedule ||
				target.blocks["oidc_token"][0].text("service_account_email") != `google_service_account.caller["schedule"].email` {
				t.Errorf("%s: %v", i, i.attributes)
			}
		case "google_compute_region_network_endpoint_group":
			if f, _ := m.Get(i.key); f.Trigger != functions.HTTP || i.name == "next" && !f.Public {
				t.Errorf("%s: the load balancer leads to %s", i, i.key)
			}
		}
	}
}
