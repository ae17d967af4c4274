package terraform_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/geminivideo/geminivideo/functions"
)

func (r *root) integer(t *testing.T, local string) int {
	t.Helper()
	v, err := r.value("local", local)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := v.AsBigFloat().Int64()
	return int(n)
}

func TestConnectionsAreAddedUpAsTheManifestDoes(t *testing.T) {
	t.Parallel()
	m, r := manifest(t), load(t, nil)
	for local, want := range map[string]int{
		"connections": m.Connections(), "connections_rolling_out": m.ConnectionsRollingOut(), "pooler_admits": m.Pooler.Clients(),
	} {
		if got := r.integer(t, local); got != want {
			t.Errorf("local.%s = %d; the manifest says %d", local, got, want)
		}
	}
	sizes, err := r.value("local", "pooler_clients")
	if err != nil {
		t.Fatal(err)
	}
	for it := sizes.ElementIterator(); it.Next(); {
		size, n := it.Element()
		if want := (functions.Pooler{Compute: size.AsString()}).Clients(); fmt.Sprint(want) != n.AsBigFloat().Text('f', 0) {
			t.Errorf("compute size %s admits %d clients; here %s", size.AsString(), want, n.AsBigFloat().Text('f', 0))
		}
	}
	needs, err := r.value("local", "compute_needs")
	if err != nil {
		t.Fatal(err)
	}
	if p := (functions.Pooler{Compute: needs.AsString()}); p.Clients()*9/10 < m.ConnectionsRollingOut() {
		t.Errorf("compute size %s is said to be enough for %d connections", p.Compute, m.ConnectionsRollingOut())
	}
	for _, c := range r.checks {
		ok, err := r.eval(c.Body.Blocks[0].Body.Attributes["condition"].Expr, nil)
		if err != nil || ok.False() {
			t.Errorf("check %s: %v", c.Labels[0], err)
		}
	}
}

func TestAServiceIsAsItsEntrySays(t *testing.T) {
	t.Parallel()
	m := manifest(t)
	services := map[string]instance{}
	for _, i := range load(t, nil).all(t) {
		if i.kind == "google_cloud_run_v2_service" {
			services[i.key] = i
		}
	}
	if len(services) != len(m.Functions) {
		t.Errorf("there are %d services for %d functions", len(services), len(m.Functions))
	}
	for _, f := range m.Functions {
		template := services[f.Name].blocks["template"][0]
		container, scaling := template.blocks["containers"][0], template.blocks["scaling"][0]
		env := map[string]string{}
		for _, e := range container.blocks["env"] {
			env[e.text("name")] = e.text("value")
		}
		for what, pair := range map[string][2]string{
			"function_target":           {services[f.Name].blocks["build_config"][0].text("function_target"), f.Name},
			"timeout":                   {template.text("timeout"), fmt.Sprintf("%ds", int(f.Timeout.Seconds()))},
			"CLOUD_RUN_TIMEOUT_SECONDS": {env["CLOUD_RUN_TIMEOUT_SECONDS"], fmt.Sprint(int(f.Timeout.Seconds()))},
			"GOMEMLIMIT":                {env["GOMEMLIMIT"], fmt.Sprintf("%dMiB", f.MemoryMiB*9/10)},
			"GOMAXPROCS":                {env["GOMAXPROCS"], fmt.Sprint(f.Processors())},
			"concurrency":               {template.text("max_instance_request_concurrency"), fmt.Sprint(f.Concurrency)},
			"min_instances":             {scaling.text("min_instance_count"), fmt.Sprint(f.MinInstances)},
			"max_instances":             {scaling.text("max_instance_count"), fmt.Sprint(f.MaxInstances)},
			"probe":                     {container.blocks["startup_probe"][0].blocks["http_get"][0].text("path"), "/health"},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %s is %s, want %s", f.Name, what, pair[0], pair[1])
			}
		}
		if len(container.blocks["liveness_probe"]) > 0 {
			t.Errorf("%s has a liveness probe", f.Name)
		}
		for _, name := range f.Secrets {
			if env[name] != secret(name) {
				t.Errorf("%s: %s is %q, not the name of its secret", f.Name, name, env[name])
			}
		}
		if f.Name == "clicks" && env["TRUSTED_PROXIES"] != "2" {
			t.Errorf("clicks trusts %s proxies: the load balancer adds two addresses", env["TRUSTED_PROXIES"])
		}
	}
}

func TestTheFirstApplyMakesNoFunctionYet(t *testing.T) {
	t.Parallel()
	r := load(t, nil)
	r.given["deploy_functions"] = cty.False
	kinds := map[string]int{}
	for _, i := range r.all(t) {
		kinds[i.kind]++
	}
	if kinds["google_cloud_run_v2_service"] != 0 || kinds["google_pubsub_subscription"] != 1 ||
		kinds["google_cloud_scheduler_job"] != 0 || kinds["google_compute_backend_service"] != 0 || kinds["google_compute_target_https_proxy"] != 0 {
		t.Errorf("%v", kinds)
	}
	if kinds["google_secret_manager_secret"] < 3 || kinds["google_service_account"] < len(manifest(t).Functions) {
		t.Errorf("secrets and accounts come first: %v", kinds)
	}
}

func TestTheNamesOfComputedSettingsAreThoseThatAreComputed(t *testing.T) {
	t.Parallel()
	r := load(t, nil)
	names, err := r.value("local", "computed_setting_names")
	if err != nil {
		t.Fatal(err)
	}
	values, err := r.value("local", "computed_settings")
	if err != nil {
		t.Fatal(err)
	}
	if names.LengthInt() != values.LengthInt() {
		t.Errorf("%d names, %d values", names.LengthInt(), values.LengthInt())
	}
	for it := names.ElementIterator(); it.Next(); {
		if _, name := it.Element(); !values.Type().HasAttribute(name.AsString()) {
			t.Errorf("%s is not computed", name.AsString())
		}
	}
}

func TestABadValueIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	text := cty.StringVal
	for name, bad := range map[string][]cty.Value{
		"project_id":       {text("Acme Ads"), text("123"), text("-acme")},
		"region":           {text("us"), text("us-central1-a")},
		"domain":           {text("https://api.example.com"), text("api.example.com/x"), text("localhost"), text("a..b.com")},
		"supabase_url":     {text("http://x.supabase.co"), text("https://x.supabase.co/")},
		"cors_origins":     {cty.ListVal([]cty.Value{text("*")}), cty.ListVal([]cty.Value{text("https://a.com/x")})},
		"base_image":       {text("go126")},
		"optional_secrets": {cty.SetVal([]cty.Value{text("DATABASE_URL")}), cty.SetVal([]cty.Value{text("GEMINI_KEY")})},
		"settings": {
			cty.MapVal(map[string]cty.Value{"GEMINI_API_KEY": text("x")}),
			cty.MapVal(map[string]cty.Value{"TRUSTED_PROXIES": text("1")}),
		},
		"video_days":        {cty.NumberIntVal(3), cty.NumberFloatVal(7.5)},
		"github_repository": {text("acme")},
		"alert_email":       {text("ops")},
	} {
		for _, v := range bad {
			if !refused(t, name, v) {
				t.Errorf("%s takes %#v", name, v)
			}
		}
		if v, given := deployment[name]; given && refused(t, name, v) {
			t.Errorf("%s refuses %#v", name, v)
		}
	}
}

func refused(t *testing.T, name string, v cty.Value) bool {
	t.Helper()
	r := load(t, nil)
	r.given[name] = v
	for _, b := range r.variables[name].Body.Blocks {
		if message, ok := b.Body.Attributes["error_message"].Expr.(*hclsyntax.TemplateExpr); !ok || message.Range().Empty() {
			t.Errorf("%s: a rule without a reason", name)
		}
		ok, err := r.eval(b.Body.Attributes["condition"].Expr, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ok.False() {
			return true
		}
	}
	return false
}

func TestTheOutputsSayWhatToEnterWhere(t *testing.T) {
	t.Parallel()
	r := load(t, nil)
	for name, want := range map[string]string{
		"webhook_url":  "https://api.example.com/webhooks/hubspot",
		"supabase":     "gv/access_token_hook",
		"hubspot":      "webhooks-hsmeta.json",
		"fill_secrets": "gcloud secrets versions add migrate-database-url --project acme-ads",
		"github":       "GCP_WORKLOAD_IDENTITY",
		"functions":    "hubspot",
		"address":      "google_compute_global_address.this.address",
	} {
		v, err := r.eval(r.outputs[name].Body.Attributes["value"].Expr, nil)
		if err != nil || !strings.Contains(fmt.Sprintf("%#v", v), want) {
			t.Errorf("output %s: %v %#v, want %s in it", name, err, v, want)
		}
	}
}
