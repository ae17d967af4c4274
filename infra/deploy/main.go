// Deploy brings functions to a project, and says what it would do and what is missing:
//
//	go run ./infra/deploy -archive .stage/archives       writes each function's archive, for Terraform's first apply
//	go run ./infra/deploy -plan [-project P] [-db URL]   says what a deployment would do, and does nothing
//	go run ./infra/deploy -project P -domain D           builds and rolls out the functions whose archives have changed
//	go run ./infra/deploy -rollback NAME -project P      gives the traffic back to the revision before
//	go run ./infra/deploy -doctor -project P -domain D   names what of a project and a database is missing or wrong
//
// Terraform makes services, rights and settings; this changes their code and their
// traffic only. Names after the flags restrict it to those functions.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/shared/clock"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, connect); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	project, region, domain, db string
	baseImage                   string
	archive, rollback           string
	plan, doctor                bool
	names                       []string
}

func parse(args []string, env func(string) string) (options, error) {
	var o options
	f := flag.NewFlagSet("deploy", flag.ContinueOnError)
	f.StringVar(&o.project, "project", env("GOOGLE_CLOUD_PROJECT"), "the `project`; GOOGLE_CLOUD_PROJECT if not given")
	f.StringVar(&o.region, "region", "us-central1", "the `region` of the functions")
	f.StringVar(&o.domain, "domain", "", "the `host` of the load balancer: public functions are asked through it before they get traffic")
	f.StringVar(&o.db, "db", env("MIGRATE_DATABASE_URL"), "the owner's `URL` of the database; MIGRATE_DATABASE_URL if not given")
	f.StringVar(&o.baseImage, "base-image", "google-24/runtimes/go126", "the buildpack's run `image`")
	f.StringVar(&o.archive, "archive", "", "write each function's archive to this `folder`, and do nothing else")
	f.StringVar(&o.rollback, "rollback", "", "give a `function`'s traffic back to the revision before")
	f.BoolVar(&o.plan, "plan", false, "say what would be done, and do nothing")
	f.BoolVar(&o.doctor, "doctor", false, "name what is missing or wrong, in the order in which to mend it")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.names = f.Args()
	modes := 0
	for _, on := range []bool{o.plan, o.doctor, o.archive != "", o.rollback != ""} {
		if on {
			modes++
		}
	}
	switch {
	case modes > 1:
		return o, errors.New("-plan, -doctor, -archive and -rollback exclude each other")
	case o.project == "" && o.archive == "" && !o.plan:
		return o, errors.New("no project: give -project or set GOOGLE_CLOUD_PROJECT")
	case o.domain == "" && modes == 0:
		return o, errors.New("no domain: without -domain no public function can be asked before it gets traffic")
	case strings.Contains(o.domain, "/"):
		return o, errors.New("-domain is a bare host name such as api.example.com")
	}
	return o, nil
}

// deployment is what all commands work with.
type deployment struct {
	options
	manifest *functions.Manifest
	root     string // of the repository
	work     string // for staged sources
	cloud    *cloud // nil where no project is given
	out      io.Writer
	client   *http.Client
	sleep    func(context.Context, time.Duration) error
}

func run(ctx context.Context, args []string, env func(string) string, out io.Writer, dial dialer) (err error) {
	o, err := parse(args, env)
	if err != nil {
		return err
	}
	d := &deployment{options: o, out: out, client: &http.Client{Timeout: 20 * time.Second}, sleep: clock.Sleep}
	if d.manifest, err = functions.Load(); err != nil {
		return err
	}
	if err := d.known(append(o.names, o.rollback)...); err != nil {
		return err
	}
	if d.root, err = repository(ctx); err != nil {
		return err
	}
	if d.work, err = os.MkdirTemp("", "geminivideo-deploy-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.work)) }()
	if o.project != "" && o.archive == "" {
		if d.cloud, err = dial(ctx, o.project, o.region); err != nil {
			return err
		}
	}
	switch {
	case o.archive != "":
		return d.writeArchives(ctx)
	case o.plan:
		return d.showPlan(ctx)
	case o.doctor:
		return d.examine(ctx, env)
	case o.rollback != "":
		return d.rollBack(ctx, o.rollback)
	}
	return d.rollOut(ctx)
}

func (d *deployment) known(names ...string) error {
	for _, name := range names {
		if _, ok := d.manifest.Get(name); !ok && name != "" {
			return fmt.Errorf("functions.yaml has no function %q", name)
		}
	}
	return nil
}

// chosen returns the functions to look at: those named, or all. Those that receive come
// before those that send, so that a message of a new form finds who reads it.
func (d *deployment) chosen() []functions.Function {
	var first, last []functions.Function
	for _, f := range d.manifest.Functions {
		if len(d.names) > 0 && !contains(d.names, f.Name) {
			continue
		}
		if f.Trigger == functions.PubSub {
			first = append(first, f)
		} else {
			last = append(last, f)
		}
	}
	return append(first, last...)
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	mod := strings.TrimSpace(string(out))
	if err != nil || filepath.Base(mod) != "go.mod" {
		return "", errors.New("run it in the repository: there is no go.mod here")
	}
	return filepath.Dir(mod), nil
}
