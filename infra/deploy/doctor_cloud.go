package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/api/cloudscheduler/v1"
	"google.golang.org/api/pubsub/v1"
	cloudrun "google.golang.org/api/run/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/geminivideo/geminivideo/functions"
)

// apis that must be enabled, as Terraform does.
var wanted = []string{
	"artifactregistry", "cloudbuild", "cloudscheduler", "cloudtrace", "compute", "iam", "logging", "monitoring", "pubsub", "run",
	"secretmanager", "storage", "telemetry",
}

func (d *deployment) apis(ctx context.Context) ([]problem, error) {
	on := map[string]bool{}
	err := d.cloud.usage.Services.List("projects/"+d.project).Filter("state:ENABLED").PageSize(200).Pages(ctx,
		func(page *serviceusage.ListServicesResponse) error {
			for _, s := range page.Services {
				on[last(s.Name)] = true
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	var off []string
	for _, name := range wanted {
		if !on[name+".googleapis.com"] {
			off = append(off, name+".googleapis.com")
		}
	}
	if len(off) == 0 {
		return nil, nil
	}
	return []problem{{
		"not enabled: " + strings.Join(off, ", "),
		"terraform apply, or gcloud services enable " + strings.Join(off, " ") + " --project " + d.project,
	}}, nil
}

// secretID is a setting's secret, as Terraform calls it.
func secretID(setting string) string { return strings.ToLower(strings.ReplaceAll(setting, "_", "-")) }

// secretsThere looks at each secret that a function needs, and at the optional ones that
// this deployment has.
func (d *deployment) secretsThere(ctx context.Context) (problems []problem, err error) {
	required, optional := map[string]bool{}, map[string]bool{}
	for _, f := range d.manifest.Functions {
		for _, name := range f.Secrets {
			required[name] = true
		}
		for _, name := range f.OptionalSecrets {
			optional[name] = true
		}
	}
	for _, name := range append(slices.Sorted(maps.Keys(required)), slices.Sorted(maps.Keys(optional))...) {
		state, err := d.secretState(ctx, secretID(name))
		if err != nil {
			return problems, err
		}
		fill := "gcloud secrets versions add " + secretID(name) + " --project " + d.project + " --data-file=-"
		switch {
		case state == "missing" && required[name]:
			problems = append(problems, problem{"there is no secret " + secretID(name), "terraform apply -var deploy_functions=false, then " + fill})
		case state == "empty":
			problems = append(problems, problem{"the secret " + secretID(name) + " has no enabled version", fill})
		}
	}
	return problems, nil
}

// secretState is missing, empty or there.
func (d *deployment) secretState(ctx context.Context, id string) (string, error) {
	name := "projects/" + d.project + "/secrets/" + id
	answer, err := d.cloud.secrets.Projects.Secrets.Versions.List(name).Filter("state:ENABLED").PageSize(1).Context(ctx).Do()
	switch {
	case status(err) == http.StatusNotFound:
		return "missing", nil
	case err != nil:
		return "", err
	case len(answer.Versions) == 0:
		return "empty", nil
	}
	return "there", nil
}

func (d *deployment) servicesRight(ctx context.Context) (problems []problem, err error) {
	services, err := d.cloud.services(ctx)
	if err != nil {
		return nil, err
	}
	var absent []string
	for _, f := range d.manifest.Functions {
		s, ok := services[f.Name]
		if !ok {
			absent = append(absent, f.Name)
			continue
		}
		problems = append(problems, serviceRight(f, s)...)
	}
	if len(absent) > 0 {
		problems = append([]problem{{
			"not there: " + strings.Join(absent, ", "), "go run ./infra/deploy -archive .stage/archives, then terraform apply",
		}}, problems...)
	}
	return problems, nil
}

func serviceRight(f functions.Function, s *cloudrun.GoogleCloudRunV2Service) (problems []problem) {
	say := func(mend, format string, args ...any) {
		problems = append(problems, problem{f.Name + " " + fmt.Sprintf(format, args...), mend})
	}
	if c := s.TerminalCondition; c != nil && c.State == "CONDITION_FAILED" {
		say("see its log: gcloud run services logs read "+f.Name, "is not ready: %s", c.Message)
	} else if s.LatestReadyRevision != s.LatestCreatedRevision {
		say("see its log, then deploy again", "runs %s; its newest revision %s did not start",
			last(s.LatestReadyRevision), last(s.LatestCreatedRevision))
	}
	ingress := "INGRESS_TRAFFIC_INTERNAL_ONLY"
	if f.Ingress == functions.LoadBalancer {
		ingress = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
	}
	if s.Ingress != ingress {
		say("terraform apply", "has the ingress %s, not %s", s.Ingress, ingress)
	}
	if s.InvokerIamDisabled != (f.Trigger == functions.HTTP) {
		say("terraform apply", "has its invoker check %s", map[bool]string{
			true: "off: anybody inside could call it", false: "on: browsers' preflights are refused",
		}[s.InvokerIamDisabled])
	}
	if pinned(s) {
		say("deploy the mended code: that takes the pin away", "is pinned to %s, as after a roll back", serving(s))
	}
	return problems
}

// pinned reports traffic that does not follow the latest revision.
func pinned(s *cloudrun.GoogleCloudRunV2Service) bool {
	return slices.ContainsFunc(s.Traffic, func(t *cloudrun.GoogleCloudRunV2TrafficTarget) bool {
		return t.Percent > 0 && t.Type == toRevision
	})
}

// messagesRight looks at subscriptions, and at the rights of Pub/Sub's own agent without
// which a message that failed for good is pushed for ever.
func (d *deployment) messagesRight(ctx context.Context) (problems []problem, err error) {
	there := map[string]*pubsub.Subscription{}
	err = d.cloud.pubsub.Projects.Subscriptions.List("projects/"+d.project).Pages(ctx, func(page *pubsub.ListSubscriptionsResponse) error {
		for _, s := range page.Subscriptions {
			there[last(s.Name)] = s
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	services, err := d.cloud.services(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range d.manifest.Functions {
		if f.Trigger != functions.PubSub {
			continue
		}
		s, ok := there[f.Name]
		switch {
		case !ok:
			problems = append(problems, problem{"the topic " + f.Topic + " has no subscription " + f.Name, "terraform apply"})
			continue
		case last(s.Topic) != f.Topic:
			problems = append(problems, problem{f.Name + " is subscribed to " + last(s.Topic) + ", not to " + f.Topic, "terraform apply"})
		case s.PushConfig == nil || services[f.Name] != nil && s.PushConfig.PushEndpoint != services[f.Name].Uri:
			problems = append(problems, problem{"the subscription " + f.Name + " does not push to its function", "terraform apply"})
		case s.DeadLetterPolicy == nil:
			problems = append(problems, problem{"the subscription " + f.Name + " has no dead-letter topic", "terraform apply"})
		}
		policy, err := d.cloud.pubsub.Projects.Subscriptions.GetIamPolicy(s.Name).Context(ctx).Do()
		if err != nil {
			return problems, err
		}
		if !agentHas(policy, "roles/pubsub.subscriber") {
			problems = append(problems, problem{
				"Pub/Sub's agent may not take messages off " + f.Name + ": what fails for good is pushed for ever", "terraform apply",
			})
		}
	}
	topic := "projects/" + d.project + "/topics/" + functions.DeadLetterTopic
	policy, err := d.cloud.pubsub.Projects.Topics.GetIamPolicy(topic).Context(ctx).Do()
	if err != nil {
		return problems, err
	}
	if !agentHas(policy, "roles/pubsub.publisher") {
		problems = append(problems, problem{"Pub/Sub's agent may not publish to " + functions.DeadLetterTopic, "terraform apply"})
	}
	return problems, nil
}

func agentHas(policy *pubsub.Policy, role string) bool {
	return slices.ContainsFunc(policy.Bindings, func(b *pubsub.Binding) bool {
		return b.Role == role && slices.ContainsFunc(b.Members, func(m string) bool {
			return strings.HasSuffix(m, "@gcp-sa-pubsub.iam.gserviceaccount.com")
		})
	})
}

func (d *deployment) schedulesRight(ctx context.Context) (problems []problem, err error) {
	there := map[string]*cloudscheduler.Job{}
	err = d.cloud.scheduler.Projects.Locations.Jobs.List(d.cloud.parent()).Pages(ctx, func(page *cloudscheduler.ListJobsResponse) error {
		for _, j := range page.Jobs {
			there[last(j.Name)] = j
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, f := range d.manifest.Functions {
		if f.Trigger != functions.Schedule {
			continue
		}
		j, ok := there[f.Name]
		switch {
		case !ok:
			problems = append(problems, problem{f.Name + " has no job", "terraform apply"})
		case j.State != "ENABLED":
			problems = append(problems, problem{
				"the job of " + f.Name + " is " + strings.ToLower(j.State),
				"gcloud scheduler jobs resume " + f.Name + " --location " + d.region,
			})
		case j.Schedule != f.Schedule:
			problems = append(problems, problem{
				fmt.Sprintf("the job of %s runs at %q, not at %q", f.Name, j.Schedule, f.Schedule), "terraform apply",
			})
		case j.Status != nil && j.Status.Code != 0:
			problems = append(problems, problem{
				fmt.Sprintf("the last run of %s failed: code %d %s", f.Name, j.Status.Code, j.Status.Message),
				"see its log: gcloud run services logs read " + f.Name,
			})
		}
	}
	return problems, nil
}
