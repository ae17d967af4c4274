package fakescheduler

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"github.com/robfig/cron/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

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
