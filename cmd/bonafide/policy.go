package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/dialect/nirmata"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

func newPolicy() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Work with policy files",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newPolicyCheck())
	return c
}

func newPolicyCheck() *cobra.Command {
	var trustedRoot string
	c := &cobra.Command{
		Use:   "check FILE|DIR...",
		Short: "Say whether policies load, and where they are weak",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, paths []string) error {
			makers, err := signers(trustedRoot, nil)
			if err != nil {
				return err
			}
			makers.Material = newKeeper(nil, nil, nil, nil) // asks nobody: what comes from afar is pending
			set, err := policyset.Load(paths, policyOptions(makers))
			if err != nil {
				return err
			}
			printPolicies(c.OutOrStdout(), set.Policies)
			printRulings(c.OutOrStdout(), set)
			return nil
		},
	}
	c.Flags().StringVar(&trustedRoot, "trusted-root", "", "Sigstore trusted root `FILE`, for signers that require the transparency log")
	return c
}

// printPolicies lists policies with their notes, weakenings marked.
func printPolicies(w io.Writer, policies []policy.Policy) {
	for _, p := range policies {
		name := p.Origin.String()
		if p.Origin.Entry != "" {
			name += " " + p.Origin.Entry
		}
		fmt.Fprintf(w, "%s  %s %s  %s\n", name, p.Origin.Dialect, p.Origin.Kind, p.Origin.File)
		for _, n := range p.Notes {
			mark := "note"
			if n.Weakening {
				mark = "weak"
			}
			fmt.Fprintf(w, "  %s  %s: %s\n", mark, n.Path, n.Text)
		}
	}
	plural := "policies load"
	if len(policies) == 1 {
		plural = "policy loads"
	}
	fmt.Fprintf(w, "%d %s.\n", len(policies), plural)
}

// printRulings lists exceptions and deny lists with their notes.
func printRulings(w io.Writer, set policyset.Set) {
	for _, e := range set.Exceptions {
		fmt.Fprintf(w, "%s  %s  %s until %s\n", e.Origin, e.Origin.Kind, e.Origin.File, e.Expires.UTC().Format(time.RFC3339))
		for _, n := range e.Notes {
			fmt.Fprintf(w, "  weak  %s: %s\n", n.Path, n.Text)
		}
	}
	for _, d := range set.Denials {
		fmt.Fprintf(w, "%s  %s  %s\n", d.Origin, d.Origin.Kind, d.Origin.File)
	}
}

// readTrustedRoot reads a trusted root file, if one is named.
func readTrustedRoot(file string) (*sigstore.TrustedRoot, error) {
	switch file {
	case "":
		return nil, nil
	case publicGood:
		return sigstore.PublicGood()
	}
	raw, err := dialect.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--trusted-root: %w", err)
	}
	root, err := policyset.ReadTrustedRoot(raw)
	if err != nil {
		return nil, fmt.Errorf("--trusted-root %s: %w", file, err)
	}
	return root, nil
}

// policyOptions lists the dialects that are read, for a machine that knows no
// cluster.
func policyOptions(signers policyset.Signers) policyset.Options {
	return dialects(signers, native.Options{})
}

// clusterPolicyOptions is policyOptions where namespaces and their labels are known.
func clusterPolicyOptions(signers policyset.Signers) policyset.Options {
	return dialects(signers, native.Options{ClusterAvailable: true})
}

func dialects(signers policyset.Signers, o native.Options) policyset.Options {
	o.PublicGoodSnapshot, o.Now = sigstore.PublicGoodSnapshot, time.Now
	var plugins []dialect.PluginSpec
	for _, p := range signers.Plugins {
		plugins = append(plugins, dialect.PluginSpec(p))
	}
	return policyset.Options{Dialects: []dialect.Dialect{
		native.New(signers, o),
		kyverno.New(signers, kyverno.Options{}),
		nirmata.New(signers, nirmata.Options{Plugins: plugins}),
	}}
}
