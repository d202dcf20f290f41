package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/registry"
)

// auditOptions are the flags of audit.
type auditOptions struct {
	all         bool
	namespace   string
	policies    []string
	output      string
	kubeconfig  string
	context     string
	trustedRoot string
	insecure    []string
}

// auditWorkers is how many images are decided at once: nobody else waits.
const auditWorkers = 8

const auditLong = `Decide anew about the images of running Pods, by the policies of the cluster.

The cluster is kubectl's: --kubeconfig, else $KUBECONFIG, else the file in the home folder. Registries are read with
the docker configuration of this machine. Nothing is written to the cluster.

With --policy, results are as they would be if those policies were applied to the cluster, and what changes by that is
listed. A policy of a file takes the place of the cluster's of the same kind and name.

Exit codes: 0 all allowed, 1 some denied or unmatched, 2 usage or configuration, 3 some could not be decided.`

func newAudit() *cobra.Command {
	var o auditOptions
	c := &cobra.Command{
		Use:   "audit",
		Short: "Decide about what already runs in a cluster",
		Long:  auditLong,
		Example: `  bonafide audit -A
  bonafide audit -n shop --policy policies/ -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runAudit(c.Context(), o, streams{c.OutOrStdout(), c.ErrOrStderr()})
		},
	}
	f := c.Flags()
	f.BoolVarP(&o.all, "all-namespaces", "A", false, "audit all namespaces")
	f.StringVarP(&o.namespace, "namespace", "n", "", "audit the namespace `NS` (default: that of the kubeconfig's context)")
	f.StringArrayVar(&o.policies, "policy", nil, "show what would change if the policy `FILE|DIR` were applied; repeatable")
	f.StringVarP(&o.output, "output", "o", "table", "output format: table or json")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig `FILE` (default: as kubectl)")
	f.StringVar(&o.context, "context", "", "context `NAME` of the kubeconfig (default: the current one)")
	f.StringVar(&o.trustedRoot, "trusted-root", "", "Sigstore trusted root `FILE`, for signers that require the transparency log")
	f.StringArrayVar(&o.insecure, "insecure-registry", nil, "registry `HOST[:PORT]` with which plain HTTP or unverified TLS is spoken; repeatable")
	return c
}

func (o auditOptions) check() error {
	switch {
	case o.output != "table" && o.output != "json":
		return fmt.Errorf("--output: expected table or json, got %q", o.output)
	case o.all && o.namespace != "":
		return errors.New("expected --all-namespaces or --namespace, got both")
	}
	return nil
}

func runAudit(ctx context.Context, o auditOptions, s streams) error {
	if err := o.check(); err != nil {
		return err
	}
	client, namespace, err := kube.Workstation(o.kubeconfig, o.context, "bonafide/"+versionText())
	if err != nil {
		return hintError{err, "name a kubeconfig with --kubeconfig or $KUBECONFIG"}
	}
	switch {
	case o.all:
		namespace = ""
	case o.namespace != "":
		namespace = o.namespace
	}
	remote, err := registry.New(registry.Options{
		Clock: time.Now, Keychain: registry.NewDockerConfig("", time.Now), InsecureHosts: o.insecure,
		Workstation: true, Proxy: proxy(), UserAgent: "bonafide/" + versionText(),
	})
	if err != nil {
		return fmt.Errorf("--insecure-registry: %w", err)
	}
	defer remote.Close()
	run := auditRun{options: o, client: client, registry: remote, namespace: namespace, streams: s}
	found, err := run.sweeps(ctx)
	if err != nil {
		return err
	}
	if err := found.print(o.output, s); err != nil {
		return err
	}
	return outcomeOfAudit(found.report.Summary)
}

// outcomeOfAudit returns the error that gives an audit its exit code: denied or
// unmatched before undecided. A namespace without Pods has nothing to object to.
func outcomeOfAudit(s audit.Summary) error {
	switch {
	case s.Denied > 0 || s.Unmatched > 0:
		return outcomeError(policy.Denied)
	case s.Undecided > 0:
		return outcomeError(policy.Undecided)
	}
	return nil
}

// auditRun is one run of the command.
type auditRun struct {
	options   auditOptions
	client    *kube.Client
	registry  *registry.Client
	namespace string // empty: all
	streams   streams
}

// audited is what a run found.
type audited struct {
	report audit.Report
	// changes are from the cluster's policies to those with --policy's.
	changes   []auditChange
	projected bool // there was a --policy
}

// auditChange is an image for which policies would change something.
type auditChange struct{ now, then audit.Result }

// sweeps audits by the policies of the cluster, and with --policy by those as
// they would be.
func (r auditRun) sweeps(ctx context.Context) (audited, error) {
	makers, err := signers(r.options.trustedRoot, r.registry)
	if err != nil {
		return audited{}, err
	}
	keeper := newKeeper(r.registry, nil, r.options.insecure, nil)
	makers.Material = keeper
	rules, err := fetched(ctx, keeper, func() (auditRules, error) { return r.rules(ctx, makers) })
	if err != nil {
		return audited{}, err
	}
	for _, note := range rules.notes {
		fmt.Fprintf(r.streams.err, "note: %s\n", printable(note))
	}
	labels, err := audit.ReadLabels(ctx, r.client, r.namespace)
	if err != nil { // as for a user who may see Pods alone: policies that select by them cannot be told
		fmt.Fprintf(r.streams.err, "note: namespaces' labels are not known: %v\n", err)
	}
	now, err := r.sweep(ctx, rules.now, labels)
	if err != nil || len(r.options.policies) == 0 {
		return audited{report: now}, err
	}
	then, err := r.sweep(ctx, rules.then, labels)
	if err != nil {
		return audited{}, err
	}
	return audited{report: then, changes: changed(now, then), projected: true}, nil
}

// sweep audits once by the rules.
func (r auditRun) sweep(ctx context.Context, rules engine.Rules, labels audit.Labels) (audit.Report, error) {
	e, err := engine.New(r.registry, engine.Options{Now: time.Now, NamedHost: named(r.options.insecure)})
	if err != nil {
		return audit.Report{}, err
	}
	e.Swap(engine.NewSnapshotOf(rules))
	o := audit.Options{
		Client: r.client, Decider: e, In: r.namespace, Now: time.Now, Workers: auditWorkers, Eager: true,
		Progress: progressBar(r.streams.err),
	}
	if labels != nil {
		o.Namespaces = labels
	}
	auditor, err := audit.New(o)
	if err != nil {
		return audit.Report{}, err
	}
	return auditor.Sweep(ctx)
}

// auditRules are the cluster's rules, and as they would be with --policy's.
type auditRules struct {
	now, then engine.Rules
	notes     []string // on the cluster's
}

func (r auditRun) rules(ctx context.Context, makers policyset.Signers) (auditRules, error) {
	options := clusterPolicyOptions(makers)
	now, notes, err := clusterRules(ctx, r.client, options)
	if err != nil || len(r.options.policies) == 0 {
		return auditRules{now: now, notes: notes}, err
	}
	set, err := policyset.Load(r.options.policies, options)
	if err != nil {
		return auditRules{}, err
	}
	then := engine.Rules{
		Policies:   applied(now.Policies, set.Policies, func(p policy.Policy) policy.Origin { return p.Origin }),
		Exceptions: applied(now.Exceptions, set.Exceptions, func(e policy.Exception) policy.Origin { return e.Origin }),
		Denials:    applied(now.Denials, set.Denials, func(d policy.Denial) policy.Origin { return d.Origin }),
	}
	return auditRules{now: now, then: then, notes: notes}, nil
}

// applied returns what there is with what is new, which takes the place of
// objects of the same kind and name, whole objects.
func applied[T any](there, more []T, origin func(T) policy.Origin) []T {
	type object struct{ kind, namespace, name string }
	of := func(t T) object {
		o := origin(t)
		return object{o.Kind, o.Namespace, o.Name}
	}
	replaced := map[object]bool{}
	for _, t := range more {
		replaced[of(t)] = true
	}
	var all []T
	for _, t := range there {
		if !replaced[of(t)] {
			all = append(all, t)
		}
	}
	return append(all, more...)
}

// changed lists the places whose outcome or reason differs. Pods that came or
// went between the sweeps changed by themselves.
func changed(now, then audit.Report) []auditChange {
	type place struct{ uid, list, container string }
	of := func(r audit.Result) place { return place{string(r.UID), r.List, r.Container} }
	before := make(map[place]audit.Result, len(now.Results))
	for _, r := range now.Results {
		before[of(r)] = r
	}
	var changes []auditChange
	for _, r := range then.Results {
		b, known := before[of(r)]
		if known && (b.Outcome != r.Outcome || b.Reason != r.Reason) {
			changes = append(changes, auditChange{b, r})
		}
	}
	return changes
}

// progressBar returns what draws a bar on a terminal, or nil.
func progressBar(w io.Writer) func(done, total int) {
	if !terminal(w) {
		return nil
	}
	const width = 40
	return func(done, total int) {
		filled := width * done / max(total, 1)
		fmt.Fprintf(w, "\r[%-*s] %d/%d ", width, bar(filled), done, total)
		if done == total {
			fmt.Fprint(w, "\r\x1b[K")
		}
	}
}
