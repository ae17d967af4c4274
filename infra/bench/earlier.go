package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// earlier runs the tests of an earlier build against the schema of this one: while
// new revisions take over, the old ones work on the migrated database.
func earlier(args []string) error {
	flags := flag.NewFlagSet("earlier", flag.ContinueOnError)
	at := flags.String("at", "", "the `commit` of the earlier build; empty: the one before the newest migration came")
	test := flags.String("run", "", "only the tests that match this `expression`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	packages := flags.Args()
	if len(packages) == 0 {
		packages = []string{"./functions/..."}
	}
	ctx := context.Background()
	commit := *at
	if commit == "" {
		newest, err := git(ctx, "log", "-1", "--format=%H", "--diff-filter=A", "--", "migrations/*.sql")
		if err == nil && newest != "" {
			commit, err = git(ctx, "rev-parse", "--verify", newest+"^")
		}
		if err != nil || commit == "" {
			fmt.Println("NOT RUN: there is no history here that has a build from before the newest migration (a shallow clone, or no git): give -at")
			return nil
		}
	}
	work, err := os.MkdirTemp("", "geminivideo-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	tree := filepath.Join(work, "earlier")
	if _, err := git(ctx, "worktree", "add", "--detach", tree, commit); err != nil {
		return err
	}
	defer func() { _, _ = git(context.WithoutCancel(ctx), "worktree", "remove", "--force", tree) }()
	added, err := newerMigrations(tree)
	if err != nil {
		return err
	}
	name, err := git(ctx, "log", "-1", "--format=%h of %cd, %s", "--date=short", commit)
	if err != nil {
		return err
	}
	fmt.Printf("The build %s\non a schema that has %d migrations more: %s\n", name, len(added), strings.Join(added, ", "))
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-timeout=2h", "-run=" + *test}, packages...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = tree, os.Stdout, os.Stderr
	return cmd.Run()
}

// newerMigrations copies what the earlier build's folder of migrations does not have.
func newerMigrations(tree string) (added []string, err error) {
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, errors.New("run it in the project's folder: there are no migrations here"))
	}
	for _, name := range files {
		if _, err := os.Stat(filepath.Join(tree, name)); err == nil {
			continue
		}
		text, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(tree, name), text, 0o644)
		}
		if err != nil {
			return nil, err
		}
		added = append(added, strings.TrimSuffix(filepath.Base(name), ".sql"))
	}
	if len(added) == 0 {
		return nil, errors.New("the earlier build has all migrations that this one has")
	}
	return added, nil
}

func git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, complaint.String())
	}
	return strings.TrimSpace(string(out)), nil
}
