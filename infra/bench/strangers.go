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
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/stage/source"
)

const (
	// slowConnections each send a byte every two seconds.
	slowConnections = 100
	largeBodies     = 12
	largeBody       = 31 << 20
	badElements     = 1_000_000
	// mostSlower is how much longer than idle another caller's answer may take at p99.
	// Below noise nothing is compared: the machine's own pauses are as long.
	mostSlower = 2.0
	noise      = 25 * time.Millisecond
	// asksEvery is how often another caller asks: half as often as a source of deals may.
	asksEvery = 40 * time.Millisecond
)

// strangers starts each function as Cloud Run does, with its manifest's memory, and
// measures what strangers cost it and another caller, who asks steadily meanwhile.
func strangers(args []string) error {
	flags := flag.NewFlagSet("strangers", flag.ContinueOnError)
	each := flags.Duration("each", 5*time.Second, "how long another caller asks while nothing else happens, and while each thing does")
	if err := flags.Parse(args); err != nil {
		return err
	}
	manifest, err := functions.Load()
	if err != nil {
		return err
	}
	ctx := context.Background()
	w, err := newBesieged(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	chosen := w.doors()
	if names := flags.Args(); len(names) > 0 {
		chosen = slices.DeleteFunc(chosen, func(d door) bool { return !slices.Contains(names, d.function) })
	}
	for i := range chosen { // all before anything is measured
		f, ok := manifest.Get(chosen[i].function)
		if !ok {
			return fmt.Errorf("functions.yaml has no function %q", chosen[i].function)
		}
		if err := w.build(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	fmt.Printf("p99 of another caller: idle, beside %d connections that send a byte each 2 s, beside %d bodies of %d MiB, beside %d bodies of a\n"+
		"million bad elements; the most memory that the process had, and its manifest's.\n\n", slowConnections, largeBodies, largeBody>>20, largeBodies)
	fmt.Println("| function | idle | slow | large | bad elements | peak MiB | memory MiB | held |\n|---|---|---|---|---|---|---|---|")
	failed := 0
	for _, d := range chosen {
		f, _ := manifest.Get(d.function)
		missed, err := w.besiege(ctx, f, d, *each)
		if err != nil {
			missed = []string{err.Error()}
		}
		if len(missed) > 0 {
			failed++
			fmt.Fprintf(os.Stderr, "%s: %s\n", f.Name, strings.Join(missed, "; "))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d functions did not hold", failed)
	}
	return nil
}

// build makes the function's program as the buildpack does.
func (w *besieged) build(ctx context.Context, f functions.Function) error {
	dir := filepath.Join(w.starts.work, "staged-"+f.Name)
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	if _, err := source.Write(ctx, root, f.Name, dir); err != nil {
		return err
	}
	if err := source.WriteMain(dir); err != nil {
		return err
	}
	//nolint:gosec // a function's name
	build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", filepath.Join(w.starts.work, f.Name), "./"+source.MainDir)
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return os.RemoveAll(dir)
}

// besiege prints the function's row and returns what it did not hold.
func (w *besieged) besiege(ctx context.Context, f functions.Function, d door, each time.Duration) (missed []string, err error) {
	base, pid, stop, err := w.start(ctx, f)
	if err != nil {
		return nil, err
	}
	defer stop()
	caller := &steady{base: base, door: d}
	caller.ask(ctx, time.Second, nil) // warm
	idle, wrong := caller.ask(ctx, each, nil)
	if wrong != "" {
		return nil, fmt.Errorf("another caller is answered %s", wrong)
	}
	limit := max(time.Duration(mostSlower*float64(idle)), noise)
	cells := []string{round(idle)}
	for _, attack := range []struct {
		what string
		do   func(context.Context, string)
	}{{"slow connections", d.slow}, {"large bodies", d.large}, {"bad elements", d.bad}} {
		p99, wrong := caller.ask(ctx, each, func(ctx context.Context) { attack.do(ctx, base) })
		cells = append(cells, round(p99))
		if wrong != "" {
			missed = append(missed, "beside "+attack.what+" another caller is answered "+wrong)
		}
		if p99 > limit {
			missed = append(missed, fmt.Sprintf("beside %s another caller waits %s at p99, above %s", attack.what, round(p99), round(limit)))
		}
	}
	peak := peakMB(pid) * 1e6 / (1 << 20)
	if peak > float64(f.MemoryMiB) {
		missed = append(missed, fmt.Sprintf("it took %.0f MiB of %d", peak, f.MemoryMiB))
	}
	held := "yes"
	if len(missed) > 0 {
		held = "NO"
	}
	fmt.Printf("| %s | %s | %.0f | %d | %s |\n", f.Name, strings.Join(cells, " | "), peak, f.MemoryMiB, held)
	return missed, nil
}

func round(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }

// start runs the function's program until stop.
func (w *besieged) start(ctx context.Context, f functions.Function) (base string, pid int, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", 0, nil, err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil {
		return "", 0, nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(w.starts.work, f.Name)) //nolint:gosec // built above
	cmd.Env = append(w.starts.env(f, port), w.env...)
	if err := cmd.Start(); err != nil { // its log goes nowhere
		return "", 0, nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	base = "http://127.0.0.1:" + port
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		status, err := get(ctx, base+"/health")
		if err == nil && status == http.StatusOK {
			return base, cmd.Process.Pid, stop, nil
		}
		if time.Now().After(deadline) {
			stop()
			return "", 0, nil, fmt.Errorf("/health answers %d, %w", status, err)
		}
	}
}

// steady is another caller.
type steady struct {
	base string
	door door
	n    int
}

// ask asks steadily while something happens, waits for its end, and returns the p99 and
// the first answer that was not the right one.
func (s *steady) ask(ctx context.Context, lasting time.Duration, meanwhile func(context.Context)) (p99 time.Duration, wrong string) {
	ctx, cancel := context.WithCancel(ctx)
	happened := make(chan struct{})
	go func() {
		defer close(happened)
		if meanwhile != nil {
			meanwhile(ctx)
		}
	}()
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	var took []time.Duration
	for began := time.Now(); time.Since(began) < lasting; time.Sleep(asksEvery) {
		s.n++
		sent := time.Now()
		status, err := s.once(ctx, client)
		took = append(took, time.Since(sent))
		if wrong == "" && (err != nil || status != http.StatusOK) {
			wrong = fmt.Sprint(status, " ", err)
		}
	}
	cancel()
	<-happened
	slices.Sort(took)
	return loaded{took: took}.at(0.99), wrong
}

func (s *steady) once(ctx context.Context, client *http.Client) (int, error) {
	r, err := s.door.good(ctx, s.base, s.n)
	if err != nil {
		return 0, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, errors.Join(err, answer.Body.Close())
}
