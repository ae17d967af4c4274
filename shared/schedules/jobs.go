package schedules

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	scheduler "cloud.google.com/go/scheduler/apiv1"
	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/telemetry/rpc"
)

// Config says where the jobs of tenants are made.
type Config struct {
	// The Google Cloud project that jobs of tenants are made in.
	Project string `env:"GOOGLE_CLOUD_PROJECT"`
	// The region of Cloud Scheduler.
	Location string `env:"SCHEDULER_LOCATION, default=us-central1"`
	// The address of a function, with {function} in its place, such as https://{function}-123.us-central1.run.app. Without it a tenant has
	// no schedules of its own.
	Target string `env:"SCHEDULER_TARGET"`
	// The service account that Cloud Scheduler calls functions as.
	Account string `env:"SCHEDULER_SERVICE_ACCOUNT"`
	// host:port of a local Cloud Scheduler without TLS, for development.
	Endpoint string `env:"SCHEDULER_ENDPOINT"`
}

// Jobs are the tenants' jobs in Cloud Scheduler. The client is opened with the first
// call, and again where that failed.
type Jobs struct {
	cfg Config

	mu     sync.Mutex
	client *scheduler.CloudSchedulerClient
}

// NewJobs returns the jobs of a configuration.
func NewJobs(cfg Config) *Jobs { return &Jobs{cfg: cfg} }

const (
	// callTime bounds one call of Cloud Scheduler.
	callTime = 10 * time.Second
	// runTime is how long Cloud Scheduler waits for a function: its longest.
	runTime = 30 * time.Minute
)

// ErrNotConfigured is returned where the deployment has no Cloud Scheduler for tenants.
var ErrNotConfigured = fault.Down("own schedules are not set up here: SCHEDULER_TARGET and GOOGLE_CLOUD_PROJECT say where the functions are", nil)

// Configured reports whether tenants can have jobs here.
func (j *Jobs) Configured() bool { return j.cfg.Target != "" && j.cfg.Project != "" }

func (j *Jobs) open(ctx context.Context) (*scheduler.CloudSchedulerClient, error) {
	if !j.Configured() {
		return nil, ErrNotConfigured
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.client != nil {
		return j.client, nil
	}
	opts := []option.ClientOption{rpc.Measured("scheduler")}
	if j.cfg.Endpoint != "" {
		opts = append(opts, option.WithEndpoint(j.cfg.Endpoint), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	}
	client, err := scheduler.NewCloudSchedulerClient(context.WithoutCancel(ctx), opts...)
	if err != nil {
		return nil, fault.Down("Cloud Scheduler cannot be reached", err)
	}
	j.client = client
	return client, nil
}

func (j *Jobs) parent() string {
	return "projects/" + j.cfg.Project + "/locations/" + j.cfg.Location
}

// jobName is a tenant's job; a tenant's id is a UUID, which a job's name may hold.
func (j *Jobs) jobName(tenant, name string) string {
	return j.parent() + "/jobs/gv-" + name + "-" + tenant
}

func (j *Jobs) want(tenant string, s Schedule, t Target) (*schedulerpb.Job, error) {
	body, err := json.Marshal(map[string]string{"tenant_id": tenant})
	if err != nil {
		return nil, err
	}
	url := strings.ReplaceAll(j.cfg.Target, "{function}", t.Function)
	target := &schedulerpb.HttpTarget{
		Uri: url, HttpMethod: schedulerpb.HttpMethod_POST, Body: body, Headers: map[string]string{"Content-Type": "application/json"},
	}
	if j.cfg.Account != "" {
		target.AuthorizationHeader = &schedulerpb.HttpTarget_OidcToken{OidcToken: &schedulerpb.OidcToken{
			ServiceAccountEmail: j.cfg.Account,
			Audience:            url,
		}}
	}
	return &schedulerpb.Job{
		Name:        j.jobName(tenant, s.Name),
		Description: "A tenant's own schedule of " + s.Name + ". Edit it with PUT /api/schedules/" + s.Name + ": edits made here are undone.",
		Schedule:    s.Cron, TimeZone: s.TimeZone, AttemptDeadline: durationpb.New(runTime),
		Target: &schedulerpb.Job_HttpTarget{HttpTarget: target},
	}, nil
}

// Apply makes the tenant's job as the schedule says, whatever is there, and returns
// what it found that was otherwise: "missing", "cron", "time_zone", "paused",
// "target". Applying again finds nothing.
func (j *Jobs) Apply(ctx context.Context, tenant string, s Schedule) (differed []string, err error) {
	target, err := Find(s.Name)
	if err != nil {
		return nil, err
	}
	client, err := j.open(ctx)
	if err != nil {
		return nil, err
	}
	want, err := j.want(tenant, s, target)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	is, err := client.GetJob(ctx, &schedulerpb.GetJobRequest{Name: want.Name})
	switch {
	case status.Code(err) == codes.NotFound:
		differed = []string{"missing"}
		is, err = client.CreateJob(ctx, &schedulerpb.CreateJobRequest{Parent: j.parent(), Job: want})
		if status.Code(err) == codes.AlreadyExists { // a twin was first
			is, err = client.GetJob(ctx, &schedulerpb.GetJobRequest{Name: want.Name})
		}
	case err == nil:
		if differed = differences(is, want); len(differed) > 0 {
			is, err = client.UpdateJob(ctx, &schedulerpb.UpdateJobRequest{
				Job: want, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{
					"schedule", "time_zone", "http_target", "attempt_deadline",
					"description",
				}},
			})
		}
	}
	if err != nil {
		return nil, refused(s.Name, err)
	}
	running := is.State != schedulerpb.Job_PAUSED
	switch {
	case s.Paused && running:
		_, err = client.PauseJob(ctx, &schedulerpb.PauseJobRequest{Name: want.Name})
	case !s.Paused && !running:
		_, err = client.ResumeJob(ctx, &schedulerpb.ResumeJobRequest{Name: want.Name})
	default:
		return differed, nil
	}
	// A twin has paused or resumed it already.
	if err != nil && status.Code(err) != codes.FailedPrecondition {
		return nil, refused(s.Name, err)
	}
	return append(differed, "paused"), nil
}

func differences(is, want *schedulerpb.Job) []string {
	var all []string
	if is.Schedule != want.Schedule {
		all = append(all, "cron")
	}
	if is.TimeZone != want.TimeZone {
		all = append(all, "time_zone")
	}
	have, need := is.GetHttpTarget(), want.GetHttpTarget()
	if have == nil || have.Uri != need.Uri || !bytes.Equal(have.Body, need.Body) || have.HttpMethod != need.HttpMethod ||
		have.GetOidcToken().GetServiceAccountEmail() != need.GetOidcToken().GetServiceAccountEmail() {
		all = append(all, "target")
	}
	return all
}

// Agree makes the tenant's job as its row says, or removes it where there is no row,
// and returns what was otherwise: what Apply returns, or "extra".
func (j *Jobs) Agree(ctx context.Context, tenant, name string, row Schedule, found bool) ([]string, error) {
	if found {
		return j.Apply(ctx, tenant, row)
	}
	removed, err := j.Remove(ctx, tenant, name)
	if removed {
		return []string{"extra"}, err
	}
	return nil, err
}

// Remove deletes the tenant's job and reports whether there was one.
func (j *Jobs) Remove(ctx context.Context, tenant, name string) (removed bool, err error) {
	client, err := j.open(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	err = client.DeleteJob(ctx, &schedulerpb.DeleteJobRequest{Name: j.jobName(tenant, name)})
	switch {
	case status.Code(err) == codes.NotFound:
		return false, nil
	case err != nil:
		return false, refused(name, err)
	}
	return true, nil
}

// refused turns an answer of Cloud Scheduler into a fault.
func refused(name string, err error) error {
	if status.Code(err) == codes.InvalidArgument {
		return fault.Invalidf("Cloud Scheduler refuses this schedule of %s: %s", name, status.Convert(err).Message())
	}
	return fault.Down(fmt.Sprintf("Cloud Scheduler does not take the schedule of %s; what was set before holds", name), err)
}
