package terraform_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Terraform is no part of a developer's set-up: where it is at hand, the files have its
// form, and where the provider is too, Terraform itself judges them.
func TestTerraformsOwnChecks(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("terraform")
	if err != nil {
		t.Log("NOT RUN: terraform fmt, validate and test: there is no terraform on this machine")
		return
	}
	run := func(args ...string) (string, error) {
		out, err := exec.Command(program, args...).CombinedOutput()
		return string(out), err
	}
	if out, err := run("fmt", "-check", "-recursive", "-diff", "."); err != nil {
		t.Errorf("terraform fmt: %v\n%s", err, out)
	}
	if !providerAtHand() {
		t.Log("NOT RUN: terraform validate and terraform test: the provider hashicorp/google is not at hand " +
			"(terraform init, or dev_overrides in the file of TF_CLI_CONFIG_FILE)")
		return
	}
	for _, command := range []string{"validate", "test"} {
		if out, err := run(command, "-no-color"); err != nil {
			t.Errorf("terraform %s: %v\n%s", command, err, out)
		}
	}
}

// providerAtHand looks where terraform init puts a provider, and for an override.
func providerAtHand() bool {
	found, err := filepath.Glob(".terraform/providers/*/hashicorp/google/*")
	if err == nil && len(found) > 0 {
		return true
	}
	text, err := os.ReadFile(os.Getenv("TF_CLI_CONFIG_FILE"))
	return err == nil && strings.Contains(string(text), "hashicorp/google")
}
