// Package fakescheduler stands in for Google Cloud Scheduler on one machine: its
// gRPC service, in memory, and the calls of its jobs. The local system uses it, and
// so do the tests.
package fakescheduler

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"github.com/robfig/cron/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Server is a running scheduler.
type Server struct {
	schedulerpb.UnimplementedCloudSchedulerServer

	grpc *grpc.Server
	addr string

	mu     sync.Mutex
	jobs   map[string]*schedulerpb.Job
	calls  []string
	before func(ctx context.Context, method string) error
}

// Start serves on a loopback address.
func Start() (*Server, error) {
	s := &Server{jobs: map[string]*schedulerpb.Job{}}
	s.grpc = grpc.NewServer(grpc.UnaryInterceptor(s.intercept))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the local Cloud Scheduler: %w", err)
	}
	s.addr = l.Addr().String()
	schedulerpb.RegisterCloudSchedulerServer(s.grpc, s)
	go func() { _ = s.grpc.Serve(l) }() // ends with Close
	return s, nil
}

// Addr is the scheduler's host:port, for SCHEDULER_ENDPOINT.
func (s *Server) Addr() string { return s.addr }

// Close stops the scheduler.
func (s *Server) Close() { s.grpc.Stop() }

// Before has do called before every call, with its name such as CreateJob: an error
// that it returns is the answer.
func (s *Server) Before(do func(ctx context.Context, method string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = do
}

// Calls returns the names of the calls so far, and forgets them.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.calls
	s.calls = nil
	return all
}

func (s *Server) intercept(ctx context.Context, r any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	s.mu.Lock()
	before := s.before
	s.calls = append(s.calls, path.Base(info.FullMethod))
	s.mu.Unlock()
	if before != nil {
		if err := before(ctx, path.Base(info.FullMethod)); err != nil {
			return nil, err
		}
	}
	return handle(ctx, r)
}

// Jobs returns the jobs by name.
func (s *Server) Jobs() []*schedulerpb.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*schedulerpb.Job
	for _, name := range slices.Sorted(maps.Keys(s.jobs)) {
		all = append(all, proto.Clone(s.jobs[name]).(*schedulerpb.Job))
	}
	return all
}

// Edit changes a job as somebody does by hand in the Cloud console.
func (s *Server) Edit(name string, change func(*schedulerpb.Job)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[name]; j != nil {
		change(j)
	}
}

var jobForm = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/jobs/[A-Za-z0-9_-]{1,500}$`)

// check is what Cloud Scheduler refuses.
func check(j *schedulerpb.Job) error {
	if !jobForm.MatchString(j.GetName()) {
		return status.Error(codes.InvalidArgument, "Job name must be formatted: \"projects/<PROJECT_ID>/locations/<LOCATION_ID>/jobs/<JOB_ID>\".")
	}
	if _, err := timesOf(j); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if t := j.GetHttpTarget(); t == nil || !strings.HasPrefix(t.GetUri(), "http") {
		return status.Error(codes.InvalidArgument, "Job target must be set, with a URI that begins with \"http://\" or \"https://\".")
	}
	if d := j.GetAttemptDeadline().AsDuration(); j.AttemptDeadline != nil && (d < 15*time.Second || d > 30*time.Minute) {
		return status.Error(codes.InvalidArgument, "The value for attempt_deadline must be between 15 seconds and 30 minutes.")
	}
	return nil
}

func timesOf(j *schedulerpb.Job) (cron.Schedule, error) {
	zone, err := time.LoadLocation(j.GetTimeZone())
	if err != nil || j.GetTimeZone() == "Local" {
		//lint:ignore ST1005 Cloud Scheduler writes it so.
		return nil, fmt.Errorf("Invalid time zone: %q.", j.GetTimeZone())
	}
	times, err := cron.ParseStandard(j.GetSchedule())
	if err != nil || strings.ContainsAny(j.GetSchedule(), "@=") {
		//lint:ignore ST1005 Cloud Scheduler writes it so.
		return nil, fmt.Errorf("Schedule or time zone is invalid.")
	}
	if spec, ok := times.(*cron.SpecSchedule); ok {
		spec.Location = zone
	}
	return times, nil
}

func missing(name string) error { return status.Errorf(codes.NotFound, "Job not found: %s", name) }

func plan(j *schedulerpb.Job, now time.Time) {
	j.ScheduleTime = nil
	if times, err := timesOf(j); err == nil && j.State == schedulerpb.Job_ENABLED {
		j.ScheduleTime = timestamppb.New(times.Next(now))
	}
}

// CreateJob makes a job, enabled.
func (s *Server) CreateJob(_ context.Context, r *schedulerpb.CreateJobRequest) (*schedulerpb.Job, error) {
	j := proto.Clone(r.GetJob()).(*schedulerpb.Job)
	if err := check(j); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(j.Name, r.GetParent()+"/jobs/") {
		return nil, status.Error(codes.InvalidArgument, "The job's name is not in the parent.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[j.Name] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Job already exists: %s", j.Name)
	}
	j.State, j.UserUpdateTime = schedulerpb.Job_ENABLED, timestamppb.Now()
	plan(j, time.Now())
	s.jobs[j.Name] = j
	return proto.Clone(j).(*schedulerpb.Job), nil
}

// GetJob returns a job.
func (s *Server) GetJob(_ context.Context, r *schedulerpb.GetJobRequest) (*schedulerpb.Job, error) {
	return s.change(r.GetName(), func(*schedulerpb.Job) error { return nil })
}

// ListJobs lists the jobs of a location.
func (s *Server) ListJobs(_ context.Context, r *schedulerpb.ListJobsRequest) (*schedulerpb.ListJobsResponse, error) {
	out := &schedulerpb.ListJobsResponse{}
	for _, j := range s.Jobs() {
		if strings.HasPrefix(j.Name, r.GetParent()+"/jobs/") {
			out.Jobs = append(out.Jobs, j)
		}
	}
	return out, nil
}

// UpdateJob changes a job's fields that the mask names, or all; its state stays.
func (s *Server) UpdateJob(_ context.Context, r *schedulerpb.UpdateJobRequest) (*schedulerpb.Job, error) {
	return s.change(r.GetJob().GetName(), func(j *schedulerpb.Job) error {
		next := proto.Clone(j).(*schedulerpb.Job)
		from := r.GetJob().ProtoReflect()
		paths := r.GetUpdateMask().GetPaths()
		for i := range from.Descriptor().Fields().Len() {
			field := from.Descriptor().Fields().Get(i)
			switch name := string(field.Name()); {
			case name == "name" || name == "state" || len(paths) > 0 && !slices.Contains(paths, name):
			case from.Has(field):
				next.ProtoReflect().Set(field, from.Get(field))
			default:
				if field.ContainingOneof() == nil {
					next.ProtoReflect().Clear(field)
				}
			}
		}
		if err := check(next); err != nil {
			return err
		}
		proto.Reset(j)
		proto.Merge(j, next)
		j.UserUpdateTime = timestamppb.Now()
		plan(j, time.Now())
		return nil
	})
}

// DeleteJob removes a job.
func (s *Server) DeleteJob(_ context.Context, r *schedulerpb.DeleteJobRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[r.GetName()] == nil {
		return nil, missing(r.GetName())
	}
	delete(s.jobs, r.GetName())
	return &emptypb.Empty{}, nil
}

// PauseJob pauses a job that is enabled.
func (s *Server) PauseJob(_ context.Context, r *schedulerpb.PauseJobRequest) (*schedulerpb.Job, error) {
	return s.turn(r.GetName(), schedulerpb.Job_ENABLED, schedulerpb.Job_PAUSED)
}

// ResumeJob enables a job that is paused.
func (s *Server) ResumeJob(_ context.Context, r *schedulerpb.ResumeJobRequest) (*schedulerpb.Job, error) {
	return s.turn(r.GetName(), schedulerpb.Job_PAUSED, schedulerpb.Job_ENABLED)
}

func (s *Server) turn(name string, from, to schedulerpb.Job_State) (*schedulerpb.Job, error) {
	return s.change(name, func(j *schedulerpb.Job) error {
		if j.State != from {
			return status.Errorf(codes.FailedPrecondition, "The job must be %s; it is %s.", from, j.State)
		}
		j.State = to
		plan(j, time.Now())
		return nil
	})
}

// RunJob runs a job now, paused or not.
func (s *Server) RunJob(ctx context.Context, r *schedulerpb.RunJobRequest) (*schedulerpb.Job, error) {
	j, err := s.GetJob(ctx, &schedulerpb.GetJobRequest{Name: r.GetName()})
	if err == nil {
		go s.fire(context.WithoutCancel(ctx), j)
	}
	return j, err
}

func (s *Server) change(name string, do func(*schedulerpb.Job) error) (*schedulerpb.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[name]
	if j == nil {
		return nil, missing(name)
	}
	if err := do(j); err != nil {
		return nil, err
	}
	return proto.Clone(j).(*schedulerpb.Job), nil
}

// Tick runs the jobs that are due at now, each to its end, and returns how many.
func (s *Server) Tick(ctx context.Context, now time.Time) int {
	s.mu.Lock()
	var due []*schedulerpb.Job
	for _, name := range slices.Sorted(maps.Keys(s.jobs)) {
		j := s.jobs[name]
		if j.State != schedulerpb.Job_ENABLED || j.ScheduleTime == nil || j.ScheduleTime.AsTime().After(now) {
			continue
		}
		due = append(due, proto.Clone(j).(*schedulerpb.Job))
		j.LastAttemptTime = timestamppb.New(now)
		plan(j, now)
	}
	s.mu.Unlock()
	var all sync.WaitGroup
	for _, j := range due {
		all.Go(func() { s.fire(ctx, j) })
	}
	all.Wait()
	return len(due)
}

// Run ticks until ctx ends.
func (s *Server) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			s.Tick(context.WithoutCancel(ctx), now)
		}
	}
}

// fire calls a job's target, once: a job of ours has no retries.
func (s *Server) fire(ctx context.Context, j *schedulerpb.Job) {
	t := j.GetHttpTarget()
	bounded, cancel := context.WithTimeout(ctx, max(j.GetAttemptDeadline().AsDuration(), 3*time.Minute))
	defer cancel()
	r, err := http.NewRequestWithContext(bounded, t.GetHttpMethod().String(), t.GetUri(), bytes.NewReader(t.GetBody()))
	if err == nil {
		for name, value := range t.GetHeaders() {
			r.Header.Set(name, value)
		}
		r.Header.Set("User-Agent", "Google-Cloud-Scheduler")
		r.Header.Set("X-CloudScheduler-JobName", path.Base(j.Name))
		var answer *http.Response
		if answer, err = http.DefaultClient.Do(r); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode >= 300 {
				err = fmt.Errorf("it answered %s", answer.Status)
			}
		}
	}
	if err != nil {
		slog.ErrorContext(ctx, "a scheduled job failed", "job", path.Base(j.Name), "error", err.Error())
	}
}
