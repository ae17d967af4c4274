package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
)

func yamlFile[T any](t *testing.T, path string) T {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

type build struct {
	Substitutions    map[string]string
	Steps            []buildStep
	AvailableSecrets struct {
		SecretManager []struct {
			VersionName string `yaml:"versionName"`
			Env         string
		} `yaml:"secretManager"`
	} `yaml:"availableSecrets"`
}

type buildStep struct {
	ID, Name, Entrypoint string
	Args                 []string
	SecretEnv            []string `yaml:"secretEnv"`
}

func TestTheBuildChecksThenMigratesThenDeploys(t *testing.T) {
	t.Parallel()
	b := yamlFile[build](t, "cloudbuild.yaml")
	var ids []string
	for _, s := range b.Steps {
		ids = append(ids, s.ID)
		// Only migrations see the owner's URL.
		if len(s.SecretEnv) > 0 != (s.ID == "migrate") {
			t.Errorf("the step %s is given %v", s.ID, s.SecretEnv)
		}
	}
	if !slices.Equal(ids, []string{"check", "migrate", "deploy"}) {
		t.Errorf("the steps are %v", ids)
	}
	if b.Substitutions["_CHECK"] != ".ci/run" {
		t.Errorf("it checks by %q", b.Substitutions["_CHECK"])
	}
	secret := b.AvailableSecrets.SecretManager[0]
	if secret.Env != "MIGRATE_DATABASE_URL" || secret.VersionName != "projects/$PROJECT_ID/secrets/migrate-database-url/versions/latest" {
		t.Errorf("%+v", secret)
	}
	// The deploy step's flags are flags of this command.
	args := slices.Clone(b.Steps[2].Args[2:])
	for i, a := range args {
		args[i] = strings.NewReplacer("$PROJECT_ID", "acme-ads", "$_REGION", "us-central1", "$_DOMAIN", "api.example.com").Replace(a)
	}
	if o, err := parse(args, func(string) string { return "" }); err != nil || o.project != "acme-ads" || o.domain != "api.example.com" {
		t.Errorf("%v: %+v, %v", args, o, err)
	}
	// The version of Go is go.mod's.
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(mod))[1]
	for _, s := range b.Steps {
		if s.Name != "golang:"+version {
			t.Errorf("the step %s runs %s; go.mod says %s", s.ID, s.Name, version)
		}
	}
	o, err := parse([]string{"-plan"}, func(string) string { return "" })
	if err != nil || !strings.HasSuffix(o.baseImage, "/go"+strings.ReplaceAll(version, ".", "")) {
		t.Errorf("functions are built on %s; go.mod says %s: %v", o.baseImage, version, err)
	}
	variables, err := os.ReadFile("../terraform/variables.tf")
	if err != nil || !strings.Contains(string(variables), `"`+o.baseImage+`"`) {
		t.Errorf("Terraform's base_image is not %s: %v", o.baseImage, err)
	}
}

type workflow struct {
	Jobs map[string]struct {
		If    string
		Steps []struct {
			Uses, Run string
			Dir       string `yaml:"working-directory"`
		}
	}
}

func TestTheWorkflowsRunWhatThisTreeHas(t *testing.T) {
	t.Parallel()
	check, deploy := yamlFile[workflow](t, ".github/workflows/check.yml"), yamlFile[workflow](t, ".github/workflows/deploy.yml")
	var runs []string
	for _, job := range check.Jobs {
		for _, s := range job.Steps {
			runs = append(runs, s.Run)
			for _, path := range regexp.MustCompile(`\./(?:infra|functions|shared)[\w/]*|infra/terraform`).FindAllString(s.Run, -1) {
				if _, err := os.Stat(filepath.Join("../..", path)); err != nil {
					t.Errorf("%q: %v", s.Run, err)
				}
			}
			if s.Dir != "" {
				if _, err := os.Stat(filepath.Join("../..", s.Dir, "package-lock.json")); err != nil {
					t.Error(err)
				}
			}
		}
	}
	for _, want := range []string{".ci/run", "terraform -chdir=infra/terraform validate", "terraform -chdir=infra/terraform test", "go run ./infra/local demo"} {
		if !slices.Contains(runs, want) {
			t.Errorf("no job runs %s", want)
		}
	}
	submit := deploy.Jobs["deploy"].Steps
	command := submit[len(submit)-1].Run
	for _, want := range []string{"gcloud builds submit", "--config cloudbuild.yaml", "_CHECK=true", "_DOMAIN=", "_REGION="} {
		if !strings.Contains(command, want) {
			t.Errorf("the build is started without %s: %s", want, command)
		}
	}
	// The build knows every substitution that it is given.
	b := yamlFile[build](t, "cloudbuild.yaml")
	for _, m := range regexp.MustCompile(`(_[A-Z]+)=`).FindAllStringSubmatch(command, -1) {
		if _, ok := b.Substitutions[m[1]]; !ok {
			t.Errorf("cloudbuild.yaml has no substitution %s", m[1])
		}
	}
}

func TestAPlanSaysWhatWouldBeDoneAndDoesNothing(t *testing.T) {
	t.Parallel()
	g, out := newGoogle(t), &strings.Builder{}
	delete(g.services, "privacy")
	err := run(t.Context(), []string{"-plan", "-project", testProject, "-db", pgtest.Empty(t).AdminURL, "notify", "privacy"}, os.Getenv, out, g.dial)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"deploy: what runs was not deployed by this command", "no service: terraform apply makes it",
		"1 to deploy, 0 as they are, 1 without a service", "connections: ", "during a roll-out", "compute size", "migration 001_ad_change_history would be applied",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if len(g.writes)+len(g.builds)+len(g.objects) > 0 {
		t.Errorf("it wrote %v, built %v, uploaded %v", g.writes, g.builds, g.objects)
	}
}
