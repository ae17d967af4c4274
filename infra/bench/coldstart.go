package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/stage/source"
)

// What is promised of a function's program: its size, and its processor time to the
// first answer as a multiple of a bare hello's that links the same libraries.
const (
	mostSizeMB = 35.0
	mostHellos = 2.0
)

// coldstart builds functions as the buildpack does and starts each some times, turn
// by turn with a hello of the Functions Framework that imports the same libraries and
// makes none of their clients.
func coldstart(args []string) error {
	flags := flag.NewFlagSet("coldstart", flag.ContinueOnError)
	runs := flags.Int("runs", 15, "starts of each program, of which the median counts")
	sizes := flags.Bool("sizes", false, "only build and print the sizes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	manifest, err := functions.Load()
	if err != nil {
		return err
	}
	chosen := manifest.Functions
	if names := flags.Args(); len(names) > 0 {
		chosen = nil
		for _, name := range names {
			f, ok := manifest.Get(name)
			if !ok {
				return fmt.Errorf("functions.yaml has no function %q", name)
			}
			chosen = append(chosen, f)
		}
	}
	ctx := context.Background()
	work, err := os.MkdirTemp("", "geminivideo-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	starts := &starts{work: work, runs: *runs, hellos: map[string]string{}}
	if !*sizes {
		if starts.db, err = private(ctx); err != nil {
			return err
		}
		defer starts.db.close()
	}
	return starts.print(ctx, chosen)
}

// starts builds and starts programs in one folder.
type starts struct {
	work string
	runs int
	db   *database // nil: only sizes
	// hellos are the programs of the hellos that are built, by their libraries.
	hellos map[string]string
}

// start is what was measured of one program.
type start struct {
	sizeMB   float64
	cpu      time.Duration // of the processor, up to the answer
	idleMB   float64       // peak memory after the first answer
	loadedMB float64       // and with as many requests at once as the manifest allows
}

func (s *starts) print(ctx context.Context, chosen []functions.Function) error {
	fmt.Printf("Programs as the buildpack builds them, stripped. Processor time from the start to the first answer of /health, which asks the\n"+
		"database; median of %d. Memory: peak after that, and with as many requests at once as the manifest allows, beside its limit.\n\n", s.runs)
	fmt.Printf("%-12s %8s %6s %9s %7s %13s %6s %6s %8s %10s %8s %11s\n", "function", "size MB", "limit", "hello MB", "cpu ms", "hello cpu ms",
		"times", "limit", "peak MB", "loaded MB", "at once", "memory MiB")
	var missed []string
	for _, f := range chosen { // each line at once: all of them take a while
		own, hello, err := s.measure(ctx, f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if own.sizeMB > mostSizeMB {
			missed = append(missed, fmt.Sprintf("%s has %.1f MB", f.Name, own.sizeMB))
		}
		fmt.Printf("%-12s %8.1f %6.0f %9.1f", f.Name, own.sizeMB, mostSizeMB, hello.sizeMB)
		if s.db == nil {
			fmt.Println()
			continue
		}
		times := float64(own.cpu) / float64(hello.cpu)
		if times > mostHellos {
			missed = append(missed, fmt.Sprintf("%s takes %.1f times the hello's time", f.Name, times))
		}
		fmt.Printf(" %7.1f %13.1f %6.2f %6.0f %8.0f %10.0f %8d %11d\n", milliseconds(own.cpu), milliseconds(hello.cpu), times, mostHellos,
			own.idleMB, own.loadedMB, f.Concurrency, f.MemoryMiB)
	}
	if len(missed) > 0 {
		return errors.New("over the limit: " + strings.Join(missed, "; "))
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (s *starts) measure(ctx context.Context, f functions.Function) (own, hello start, err error) {
	dir := filepath.Join(s.work, "staged")
	root, err := filepath.Abs(".")
	if err != nil {
		return own, hello, err
	}
	if _, err := source.Write(ctx, root, f.Name, dir); err != nil {
		return own, hello, err
	}
	if err := source.WriteMain(dir); err != nil {
		return own, hello, err
	}
	libraries, err := writeHello(ctx, dir, f.Name)
	if err != nil {
		return own, hello, err
	}
	shared, built := s.hellos[libraries]
	if !built {
		shared = fmt.Sprintf("hello%d", len(s.hellos))
		s.hellos[libraries] = shared
	}
	programs := []struct {
		in, out string
		start   *start
	}{{"./" + source.MainDir, "own", &own}, {"./" + helloDir, shared, &hello}}
	for _, p := range programs {
		if p.out != shared || !built {
			build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", filepath.Join(s.work, p.out), p.in)
			build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				return own, hello, fmt.Errorf("build: %w\n%s", err, out)
			}
		}
		info, err := os.Stat(filepath.Join(s.work, p.out))
		if err != nil {
			return own, hello, err
		}
		p.start.sizeMB = float64(info.Size()) / 1e6
	}
	if s.db == nil {
		return own, hello, nil
	}
	times := map[*start][]time.Duration{}
	for run := range s.runs + 1 {
		for _, p := range programs {
			took, err := s.once(ctx, f, p.out, p.start)
			if err != nil {
				return own, hello, err
			}
			if run > 0 { // the first brings the file into memory
				times[p.start] = append(times[p.start], took)
			}
		}
	}
	for to, all := range times {
		slices.Sort(all)
		to.cpu = all[len(all)/2]
	}
	return own, hello, nil
}

// once starts a program as Cloud Run does and returns its processor time up to the
// first answer.
func (s *starts) once(ctx context.Context, f functions.Function, program string, seen *start) (time.Duration, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.work, program))
	cmd.Env = s.env(f, port)
	if program != "own" {
		cmd.Env = append(cmd.Env, "FUNCTION_TARGET=hello")
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	base := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		status, err := get(ctx, base+"/health")
		if err == nil && status == http.StatusOK {
			break
		}
		if err == nil || time.Now().After(deadline) {
			return 0, fmt.Errorf("/health answers %d, %w\n%s", status, err, log.String())
		}
	}
	took, err := clockOf(cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	seen.idleMB = max(seen.idleMB, peakMB(cmd.Process.Pid))
	if seen.loadedMB == 0 && program == "own" {
		var all sync.WaitGroup
		for range f.Concurrency {
			all.Go(func() { _, _ = get(ctx, base+"/health") })
		}
		all.Wait()
		seen.loadedMB = peakMB(cmd.Process.Pid)
	}
	return took, nil
}

// env is the environment of a function on Cloud Run, as Terraform sets it.
func (s *starts) env(f functions.Function, port string) []string {
	values := map[string]string{
		"DATABASE_URL": s.db.app, "WORKER_DATABASE_URL": s.db.worker, "GOOGLE_CLOUD_PROJECT": "bench",
		"SUPABASE_URL": "http://127.0.0.1:1", "PUBLIC_BASE_URL": "http://127.0.0.1:1", "VIDEO_BUCKET": "file://" + filepath.ToSlash(s.work),
	}
	env := []string{
		"FUNCTION_TARGET=" + f.Name, "K_SERVICE=" + f.Name, "PORT=" + port, "GOMAXPROCS=" + strconv.Itoa(f.Processors()),
		"GOMEMLIMIT=" + strconv.Itoa(f.MemoryMiB*9/10) + "MiB",
		"CLOUD_RUN_TIMEOUT_SECONDS=" + strconv.Itoa(int(f.Timeout.Seconds())),
	}
	for _, name := range slices.Concat(f.Secrets, f.OptionalSecrets, f.Settings) {
		if values[name] != "" {
			env = append(env, name+"="+values[name])
		}
	}
	return env
}

func get(ctx context.Context, url string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, errors.Join(err, answer.Body.Close())
}

// clockOf reads the clock that counts the processor time of all of a process's
// threads; clock_getcpuclockid(3) makes its number so.
func clockOf(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("read the processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// peakMB is the most memory that a process has had so far; 0 if it is not known.
func peakMB(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kB * 1024 / 1e6
		}
	}
	return 0
}
