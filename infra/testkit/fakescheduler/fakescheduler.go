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
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
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
