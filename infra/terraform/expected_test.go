package terraform_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/geminivideo/geminivideo/functions"
)

// right is what one member may do on one thing.
type right struct{ on, role, member, condition string }

func (r right) String() string {
	text := r.member + " has " + r.role + " on " + r.on
	if r.condition != "" {
		text += " where " + r.condition
	}
	return text
}

func manifest(t *testing.T) *functions.Manifest {
	t.Helper()
	m, err := functions.Load()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// member is the address of a service account, as a right names it.
func member(account string) string { return "google_service_account." + account + ".member" }

func ofFunction(name string) string { return member(fmt.Sprintf("function[%q]", name)) }

const (
	project  = "the project"
	tenants  = `resource.name.startsWith("projects/123456789012/secrets/gv-")`
	agent    = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
	maker    = "google_project_iam_custom_role.secret_maker.id"
	jobs     = "google_project_iam_custom_role.job_editor.id"
	accessor = "roles/secretmanager.secretAccessor"
	useAs    = "roles/iam.serviceAccountUser"
)

func secret(name string) string {
	return fmt.Sprintf("google_secret_manager_secret.deployment[%q].id", name)
}
func topic(name string) string   { return fmt.Sprintf("google_pubsub_topic.this[%q].id", name) }
func account(name string) string { return "google_service_account." + name + ".id" }

// ofTheManifest are the rights that the manifest's entries ask for.
func ofTheManifest(m *functions.Manifest) (all []right) {
	for _, f := range m.Functions {
		who := ofFunction(f.Name)
		all = append(all, right{project, "roles/telemetry.metricsWriter", who, ""}, right{project, "roles/telemetry.tracesWriter", who, ""})
		for _, name := range f.Secrets {
			all = append(all, right{secret(name), accessor, who, ""})
		}
		if slices.Contains(f.OptionalSecrets, "GEMINI_API_KEY") { // the one that these tests' deployment uses
			all = append(all, right{secret("GEMINI_API_KEY"), accessor, who, ""})
		}
		for _, name := range f.Publishes {
			all = append(all, right{topic(name), "roles/pubsub.publisher", who, ""})
		}
		for _, use := range f.Uses {
			all = append(all, map[functions.Use][]right{
				functions.Bucket:       {{"acme-ads-videos", "roles/storage.objectUser", who, ""}},
				functions.Vertex:       {{project, "roles/aiplatform.user", who, ""}},
				functions.Firestore:    {{project, "roles/datastore.user", who, ""}},
				functions.Scheduler:    {{project, jobs, who, ""}, {account(`caller["schedule"]`), useAs, who, ""}},
				functions.SecretReader: {{project, accessor, who, tenants}},
				functions.SecretWriter: {{project, "roles/secretmanager.secretVersionManager", who, tenants}, {project, maker, who, ""}},
			}[use]...)
		}
		switch f.Trigger {
		case functions.PubSub:
			all = append(all, right{"service " + f.Name, "roles/run.invoker", member(`caller["pubsub"]`), ""},
				right{"subscription " + f.Name, "roles/pubsub.subscriber", agent, ""})
		case functions.Schedule:
			all = append(all, right{"service " + f.Name, "roles/run.invoker", member(`caller["schedule"]`), ""})
		}
		all = append(all, right{account(fmt.Sprintf("function[%q]", f.Name)), useAs, member("deployer"), ""})
	}
	return all
}

// ofTheDeployment are the rights of what is no function.
var ofTheDeployment = []right{
	{topic("dead-letter"), "roles/pubsub.publisher", agent, ""},
	{"google_pubsub_topic.unread.id", "roles/pubsub.publisher", agent, ""},

	{project, "roles/logging.logWriter", member("builder"), ""},
	{"acme-ads-source", "roles/storage.objectViewer", member("builder"), ""},
	{"repository", "roles/artifactregistry.writer", member("builder"), ""},

	{project, "roles/cloudbuild.builds.editor", member("deployer"), ""},
	{project, "roles/cloudscheduler.viewer", member("deployer"), ""},
	{project, "roles/logging.logWriter", member("deployer"), ""},
	{project, "roles/pubsub.viewer", member("deployer"), ""},
	{project, "roles/run.developer", member("deployer"), ""},
	{project, "roles/secretmanager.viewer", member("deployer"), ""},
	{project, "roles/serviceusage.serviceUsageConsumer", member("deployer"), ""},
	{"acme-ads-source", "roles/storage.objectUser", member("deployer"), ""},
	{"google_secret_manager_secret.migrate.id", accessor, member("deployer"), ""},
	{account("builder"), useAs, member("deployer"), ""},

	{
		account(`github["acme/ads"]`), "roles/iam.workloadIdentityUser",
		`principalSet://iam.googleapis.com/google_iam_workload_identity_pool.github["acme/ads"].name/attribute.repository/acme/ads`, "",
	},
	{project, "roles/cloudbuild.builds.editor", member(`github["acme/ads"]`), ""},
	{project, "roles/logging.viewer", member(`github["acme/ads"]`), ""},
	{project, "roles/serviceusage.serviceUsageConsumer", member(`github["acme/ads"]`), ""},
	{"acme-ads-source", "roles/storage.objectUser", member(`github["acme/ads"]`), ""},
	{account("deployer"), useAs, member(`github["acme/ads"]`), ""},
}

// permissions are those of our own roles.
var permissions = map[string][]string{
	"secret_maker": {"secretmanager.secrets.create"},
	"job_editor": {
		"cloudscheduler.jobs.create", "cloudscheduler.jobs.delete", "cloudscheduler.jobs.enable",
		"cloudscheduler.jobs.get", "cloudscheduler.jobs.list", "cloudscheduler.jobs.pause", "cloudscheduler.jobs.update",
	},
}
