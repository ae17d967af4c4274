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
	"sync"
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
	// roundsEvery is how often strangers send their bodies again, once all are answered.
	roundsEvery = 500 * time.Millisecond
)

// strangers starts each function as Cloud Run does, with its manifest's memory and
// processors, and measures what strangers cost it and another caller, who asks steadily
// meanwhile, whether or not he has his answers. Whoever asks, and the database, have the
// machine's other processors.
func strangers(args []string) error {
	flags := flag.NewFlagSet("strangers", flag.ContinueOnError)
	each := flags.Duration("each", 5*time.Second, "how long another caller asks while nothing else happens, and while each thing does")
	at := flags.String("bare", "", "serve the handler that only reads, at this address")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *at != "" {
		return bare(*at)
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
	fmt.Printf("p99 of another caller: idle, beside %d connections that send a byte each 2 s, beside %d bodies of %d MiB at once, beside %d of\n"+
		"a million bad elements, sent again and again; after each slash its floor: the same bytes sent to a handler on the same processor that\n"+
		"only reads them. The most memory that the process had, and its manifest's.\n", slowConnections, largeBodies, largeBody>>20, largeBodies)
	if !w.apart {
		fmt.Println("All share all processors here: who sends the bytes takes them from the function.")
	}
	fmt.Println("\n| function | idle | slow / floor | large / floor | bad elements / floor | peak MiB | memory MiB | within twice of |\n|---|---|---|---|---|---|---|---|")
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
	floor, stopFloor, err := w.startBare(ctx)
	if err != nil {
		return nil, err
	}
	defer stopFloor()
	caller := &steady{base: base, door: d}
	caller.ask(ctx, time.Second, nil) // warm
	idle, wrong := caller.ask(ctx, each, nil)
	if wrong != "" {
		return nil, fmt.Errorf("another caller is answered %s", wrong)
	}
	cells, held := []string{round(idle)}, "idle"
	for _, attack := range []struct {
		what string
		do   func(context.Context, string)
	}{{"slow connections", d.slow}, {"large bodies", d.large}, {"bad elements", d.bad}} {
		least, _ := caller.ask(ctx, each, func(ctx context.Context) { attack.do(ctx, floor) })
		p99, wrong := caller.ask(ctx, each, func(ctx context.Context) { attack.do(ctx, base) })
		cells = append(cells, round(p99)+" / "+round(least))
		if wrong != "" {
			missed = append(missed, "beside "+attack.what+" another caller is answered "+wrong)
		}
		switch limit := longest(max(idle, least)); {
		case p99 > limit:
			missed = append(missed, fmt.Sprintf("beside %s another caller waits %s at p99, above %s", attack.what, round(p99), round(limit)))
		case p99 > longest(idle):
			held = "the floor"
		}
	}
	peak := peakMB(pid) * 1e6 / (1 << 20)
	if peak > float64(f.MemoryMiB) {
		missed = append(missed, fmt.Sprintf("it took %.0f MiB of %d", peak, f.MemoryMiB))
	}
	if len(missed) > 0 {
		held = "NEITHER"
	}
	fmt.Printf("| %s | %s | %.0f | %d | %s |\n", f.Name, strings.Join(cells, " | "), peak, f.MemoryMiB, held)
	return missed, nil
}

// longest is how long an answer may take that takes so long where nobody attacks.
func longest(d time.Duration) time.Duration { return max(time.Duration(mostSlower*float64(d)), noise) }

func round(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }

// start runs the function's program until stop.
func (w *besieged) start(ctx context.Context, f functions.Function) (base string, pid int, stop func(), err error) {
	address, err := freeAddress()
	if err != nil {
		return "", 0, nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(w.starts.work, f.Name)) //nolint:gosec // built above
	cmd.Env = append(w.starts.env(f, port), w.env...)
	if err := w.cores.start(cmd); err != nil { // its log goes nowhere
		return "", 0, nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	base = "http://" + address
	if err := waitFor(ctx, base+"/health"); err != nil {
		stop()
		return "", 0, nil, err
	}
	return base, cmd.Process.Pid, stop, nil
}

// waitFor waits until there is an answer that says all is well.
func waitFor(ctx context.Context, url string) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		status, err := get(ctx, url)
		if err == nil && status == http.StatusOK {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s answers %d, %w", url, status, err)
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
	var (
		mu   sync.Mutex
		took []time.Duration
		all  sync.WaitGroup
		tick = time.NewTicker(asksEvery)
	)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < lasting; <-tick.C {
		s.n++
		n := s.n
		all.Go(func() {
			sent := time.Now()
			status, err := s.once(ctx, client, n)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(sent))
			if wrong == "" && (err != nil || status != http.StatusOK) {
				wrong = fmt.Sprint(status, " ", err)
			}
		})
	}
	all.Wait()
	cancel()
	<-happened
	slices.Sort(took)
	return loaded{took: took}.at(0.99), wrong
}

func (s *steady) once(ctx context.Context, client *http.Client, n int) (int, error) {
	r, err := s.door.good(ctx, s.base, n)
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
