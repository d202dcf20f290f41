package engine_test

import (
	"testing"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// A runtime passes over a child of a variant that it does not know, and falls back
// to another architecture. A signed child of an invented variant is none that the
// policy lists.
func TestR31InventedVariantsAreNotPresent(t *testing.T) {
	cases := map[string]struct{ listed, signed, unsigned string }{
		"Amd64FallsBackTo386":   {listed: "linux/amd64", signed: "linux/amd64/v9", unsigned: "linux/386"},
		"Arm64FallsBackToArm":   {listed: "linux/arm64", signed: "linux/arm64/v9", unsigned: "linux/arm/v7"},
		"Arm64V8FallsBackToArm": {listed: "linux/arm64/v8", signed: "linux/arm64/v9.5", unsigned: "linux/arm/v8"},
		"Amd64V1FallsBackTo386": {listed: "linux/amd64/v1", signed: "linux/amd64/v9", unsigned: "linux/386"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, each(enforce(t, &signer{name: "release"}), tc.listed))
			_, children := h.platformsOf(t, tc.signed, tc.unsigned)
			h.registry.sign(t, "reg.test/app", children[0], "release")
			d := h.ask(t.Context(), "reg.test/app:1")
			if d.Outcome != policy.Denied || len(d.Policies) == 0 || d.Policies[0].Finding.Problems[0].Reason != evidence.PlatformMissing {
				t.Errorf("want %s missing, got %s %v", tc.listed, d.Outcome, reasons(d))
			}
		})
	}
}
