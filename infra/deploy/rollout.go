package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	cloudrun "google.golang.org/api/run/v2"
)

const (
	toLatest   = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
	toRevision = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
	// nextTag is the tag of a revision that has no traffic yet; Terraform's load
	// balancer leads to it by nextHeader.
	nextTag    = "next"
	nextHeader = "X-Geminivideo-Next"
)

// rollOut deploys what has changed, one function after the other. A function that fails
// keeps its old revision, and stops none of the others.
func (d *deployment) rollOut(ctx context.Context) error {
	steps, err := d.steps(ctx)
	if err != nil {
		return err
	}
	var errs []error
	deployed, same := 0, 0
	for _, s := range steps {
		name := s.archive.function.Name
		if s.service != nil && !s.due() {
			same++
			continue
		}
		began := time.Now()
		revision, err := d.deploy(ctx, s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			fmt.Fprintf(d.out, "%-12s FAILED: %v\n", name, err)
			if ctx.Err() != nil {
				break
			}
			continue
		}
		deployed++
		fmt.Fprintf(d.out, "%-12s %s has the traffic after %s\n", name, revision, time.Since(began).Round(time.Second))
	}
	fmt.Fprintf(d.out, "%d deployed, %d as they were, %d failed\n", deployed, same, len(errs))
	return errors.Join(errs...)
}

// deploy builds a function and makes a revision of it that gets no traffic. That starts
// (Cloud Run asks its start-up probe), a public one is asked through the load balancer,
// and then it gets the traffic. Where any of this fails, the traffic stays where it is.
func (d *deployment) deploy(ctx context.Context, s step) (revision string, err error) {
	if s.service == nil {
		return "", errors.New("there is no such service: terraform apply makes it")
	}
	object, err := d.cloud.upload(ctx, s.archive)
	if err != nil {
		return "", err
	}
	image, base, err := d.image(ctx, s.archive, object)
	if err != nil {
		return "", err
	}
	before := serving(s.service)
	if before == "" {
		return "", errors.New("no revision of it has all the traffic: give it to one, then deploy")
	}
	next, err := d.write(ctx, withImage(s.service, image, base, before))
	if err == nil {
		err = started(next, s.service)
	}
	if err == nil && s.archive.function.Public {
		err = d.ask(ctx, s.archive.function.Name)
	}
	if err == nil {
		revision = last(next.LatestReadyRevision)
		next, err = d.write(ctx, withTraffic(next, s.archive.hash))
	}
	if err == nil && serving(next) != revision {
		err = fmt.Errorf("%s has the traffic, not %s", serving(next), revision)
	}
	if err == nil {
		return revision, nil
	}
	// The caller may be gone; the traffic goes back all the same.
	if back := d.back(context.WithoutCancel(ctx), s.archive.function.Name, before); back != nil {
		return "", errors.Join(err, fmt.Errorf("give the traffic back to %s: %w", before, back))
	}
	return "", fmt.Errorf("%w; %s keeps the traffic", err, before)
}

// serving is the revision that all the traffic goes to; empty where it is shared.
func serving(s *cloudrun.GoogleCloudRunV2Service) string {
	for _, t := range s.TrafficStatuses {
		if t.Percent == 100 {
			if t.Revision == "" || t.Type == toLatest {
				return last(s.LatestReadyRevision)
			}
			return last(t.Revision)
		}
	}
	if len(s.TrafficStatuses) == 0 {
		return last(s.LatestReadyRevision)
	}
	return ""
}

// withImage is the service with a new revision that is tagged and has no traffic.
func withImage(s *cloudrun.GoogleCloudRunV2Service, image, base, before string) *cloudrun.GoogleCloudRunV2Service {
	after, template := *s, *s.Template
	container := *template.Containers[0]
	container.Image, container.BaseImageUri = image, base
	template.Containers = append([]*cloudrun.GoogleCloudRunV2Container{&container}, template.Containers[1:]...)
	template.Revision = "" // Cloud Run gives it a name
	after.Template = &template
	after.Traffic = []*cloudrun.GoogleCloudRunV2TrafficTarget{
		{Type: toRevision, Revision: before, Percent: 100},
		{Type: toLatest, Tag: nextTag},
	}
	return &after
}

// withTraffic is the service with all traffic on its latest revision, marked with the
// hash of its archive. Revisions that Terraform makes for new settings get traffic so.
func withTraffic(s *cloudrun.GoogleCloudRunV2Service, hash string) *cloudrun.GoogleCloudRunV2Service {
	after := *s
	after.Annotations = maps.Clone(s.Annotations)
	if after.Annotations == nil {
		after.Annotations = map[string]string{}
	}
	after.Annotations[annotation] = hash
	after.Traffic = []*cloudrun.GoogleCloudRunV2TrafficTarget{{Type: toLatest, Percent: 100}}
	return &after
}

// started reports why the new revision did not start.
func started(after, before *cloudrun.GoogleCloudRunV2Service) error {
	if after.LatestCreatedRevision == before.LatestCreatedRevision {
		return errors.New("no new revision was made by Cloud Run")
	}
	if after.LatestReadyRevision == after.LatestCreatedRevision {
		return nil
	}
	why := "Cloud Run does not say why"
	for _, c := range append(after.Conditions, after.TerminalCondition) {
		if c != nil && c.State == "CONDITION_FAILED" && c.Message != "" {
			why = c.Message
		}
	}
	return fmt.Errorf("the revision %s did not start: %s", last(after.LatestCreatedRevision), why)
}

// The load balancer learns of a tag within a minute or two.
const (
	askEvery = 5 * time.Second
	askTimes = 48
)

// ask asks the revision without traffic for its health, through the load balancer.
func (d *deployment) ask(ctx context.Context, name string) error {
	var seen string
	for range askTimes {
		status, body, err := d.health(ctx, name)
		switch {
		case err != nil:
			seen = err.Error()
		case status == http.StatusOK && isHealth(body):
			return nil
		case status == http.StatusServiceUnavailable && strings.Contains(body, `"title"`): // its own answer: it is there, and not well
			return fmt.Errorf("the new revision says that it is not well: %s", body)
		default:
			seen = fmt.Sprintf("%d %s", status, body)
		}
		if err := d.sleep(ctx, askEvery); err != nil {
			return err
		}
	}
	return fmt.Errorf("the new revision does not answer at https://%s/health with the header %s: %s; the last answer was %s",
		d.domain, nextHeader, name, seen)
}

func (d *deployment) health(ctx context.Context, name string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+d.domain+"/health", nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set(nextHeader, name)
	resp, err := d.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 2000))
	return resp.StatusCode, strings.TrimSpace(string(text)), err
}

func isHealth(body string) bool {
	var answer struct{ Status string }
	return json.Unmarshal([]byte(body), &answer) == nil && answer.Status == "ok"
}

// rollBack gives a function's traffic to the newest ready revision that is older than
// the one that has it. The next deployment takes the pin away.
func (d *deployment) rollBack(ctx context.Context, name string) error {
	s, err := d.cloud.run.Projects.Locations.Services.Get(d.cloud.name(name)).Context(ctx).Do()
	if err != nil {
		return fmt.Errorf("read the service %s: %w", name, err)
	}
	var all []*cloudrun.GoogleCloudRunV2Revision
	list := d.cloud.run.Projects.Locations.Services.Revisions.List(s.Name)
	err = list.Pages(ctx, func(page *cloudrun.GoogleCloudRunV2ListRevisionsResponse) error {
		all = append(all, page.Revisions...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("list the revisions of %s: %w", name, err)
	}
	slices.SortFunc(all, func(a, b *cloudrun.GoogleCloudRunV2Revision) int { return strings.Compare(b.CreateTime, a.CreateTime) })
	now, past := serving(s), false
	for _, r := range all {
		if past && ready(r) {
			if err := d.back(ctx, name, last(r.Name)); err != nil {
				return err
			}
			fmt.Fprintf(d.out, "%s: %s has the traffic again, instead of %s\n", name, last(r.Name), now)
			return nil
		}
		past = past || last(r.Name) == now
	}
	return fmt.Errorf("%s has no ready revision older than %s", name, now)
}

func ready(r *cloudrun.GoogleCloudRunV2Revision) bool {
	return slices.ContainsFunc(r.Conditions, func(c *cloudrun.GoogleCloudRunV2Condition) bool {
		return c.Type == "Ready" && c.State == "CONDITION_SUCCEEDED"
	})
}

// back pins all traffic to a revision, and forgets which archive runs: the next
// deployment rolls out again.
func (d *deployment) back(ctx context.Context, name, revision string) error {
	s, err := d.cloud.run.Projects.Locations.Services.Get(d.cloud.name(name)).Context(ctx).Do()
	if err != nil {
		return err
	}
	s.Template.Revision = ""
	s.Traffic = []*cloudrun.GoogleCloudRunV2TrafficTarget{{Type: toRevision, Revision: revision, Percent: 100}}
	delete(s.Annotations, annotation)
	_, err = d.write(ctx, s)
	return err
}
