package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
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
	pullSecrets []string
	cloud       []string
	registries  string
}

// auditWorkers is how many images are decided at once: nobody else waits.
const auditWorkers = 8

const auditLong = `Decide anew about the images of running Pods, by the policies of the cluster.

The cluster is kubectl's: --kubeconfig, else $KUBECONFIG, else the file in the home folder. Registries are read with the
pull secrets of the Pods and their service accounts, as far as you may read those, and then with the docker
configuration of this machine. Nothing is written to the cluster.

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
	f.StringArrayVar(&o.pullSecrets, "pull-secret", nil, "pull secret `NS/NAME` of the cluster, for every image; repeatable")
	f.StringSliceVar(&o.cloud, "cloud-credentials", nil, "clouds whose `NAMES` (aws, gcp, azure) give this machine credentials for their registries")
	f.StringVar(&o.registries, "registries", "", "`FILE` with authorities, client certificates and mirrors of registries (docs/registries.md)")
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
		return hintError{err, "name a kubeconfig with --kubeconfig or $KUBECONFIG, and one of its contexts with --context"}
	}
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // what matters of what client-go says is said here
	switch {
	case o.all:
		namespace = ""
	case o.namespace != "":
		namespace = o.namespace
	}
	pods := newPodCredentials(client)
	remote, err := o.openRegistry(pods, s)
	if err != nil {
		return err
	}
	defer remote.Close()
	run := auditRun{options: o, client: client, registry: remote, namespace: namespace, streams: s, progress: newProgress(s.err)}
	found, err := run.sweeps(ctx)
	run.progress.end()
	if err != nil {
		return run.explained(err)
	}
	pods.notes(s.err)
	if err := found.print(o.output, s); err != nil {
		return err
	}
	return outcomeOfAudit(found.report.Summary)
}

// explained adds to what the API server refuses what to do about it.
func (r auditRun) explained(err error) error {
	switch {
	case apierrors.IsForbidden(err) && r.namespace == "":
		return hintError{err, "audit a namespace of yours with -n NS, or ask for the right to list pods in all namespaces"}
	case apierrors.IsForbidden(err):
		return hintError{err, "ask for the right to list pods in namespace " + r.namespace + ", or name another one with -n NS"}
	}
	return err
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
	progress  progress
}

// where names what is audited.
func (r auditRun) where() string {
	if r.namespace == "" {
		return "the cluster"
	}
	return "namespace " + r.namespace
}

// audited is what a run found.
type audited struct {
	report audit.Report
	where  string
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
	r.progress.at("reading policies")
	rules, err := fetched(ctx, keeper, func() (auditRules, error) { return r.rules(ctx, makers) })
	if err != nil {
		return audited{}, err
	}
	labels, err := audit.ReadLabels(ctx, r.client, r.namespace)
	if apierrors.IsNotFound(err) { // it has no Pods, and that is not what was meant
		return audited{}, hintError{err, "name a namespace of the cluster with -n NS, or all of them with -A"}
	}
	if err != nil { // as for a user who may see Pods alone: policies that select by them cannot be told
		rules.notes = append(rules.notes, fmt.Sprintf("namespaces' labels are not known: %v", err))
	}
	r.progress.end()
	for _, note := range rules.notes {
		fmt.Fprintf(r.streams.err, "note: %s\n", printable(note))
	}
	return r.compare(ctx, rules, labels)
}

// compare audits by both sets of rules, with one engine: what was proven for the
// one is known for the other.
func (r auditRun) compare(ctx context.Context, rules auditRules, labels audit.Labels) (audited, error) {
	e, err := engine.New(r.registry, engine.Options{Now: time.Now, NamedHost: r.namedHost})
	if err != nil {
		return audited{}, err
	}
	o := audit.Options{
		Client: r.client, Decider: e, Sources: r.registry, In: r.namespace, Now: time.Now, Workers: auditWorkers, Eager: true, Progress: r.progress.bar,
	}
	if labels != nil {
		o.Namespaces = labels
	}
	auditor, err := audit.New(o)
	if err != nil {
		return audited{}, err
	}
	sweep := func(rules engine.Rules) (audit.Report, error) {
		r.progress.at("listing Pods")
		e.Swap(engine.NewSnapshotOf(rules))
		return auditor.Sweep(ctx)
	}
	now, err := sweep(rules.now)
	if err != nil || len(r.options.policies) == 0 {
		return audited{report: now, where: r.where()}, err
	}
	then, err := sweep(rules.then)
	if err != nil {
		return audited{}, err
	}
	return audited{report: then, where: r.where(), changes: changed(now, then), projected: true}, nil
}

// namedHost reports whether the user vouches for a registry's host, by a flag or
// in the file of registries.
func (r auditRun) namedHost(host string) bool {
	ref, err := imageref.Parse(host + "/any")
	return err == nil && r.registry.Named(ref.Repository())
}

// auditRules are the cluster's rules, and as they would be with --policy's.
type auditRules struct {
	now, then engine.Rules
	notes     []string // on the cluster's
}

func (r auditRun) rules(ctx context.Context, makers policyset.Signers) (auditRules, error) {
	options := clusterPolicyOptions(makers)
	var set policyset.Set
	if len(r.options.policies) > 0 { // first: what is wrong with files is told at once
		var err error
		files := options
		files.ExceptionsAlone = true // those that they lift are the cluster's
		if set, err = policyset.Load(r.options.policies, files); err != nil {
			return auditRules{}, err
		}
	}
	if err := greet(ctx, r.client); err != nil {
		return auditRules{}, err
	}
	now, notes, err := clusterRules(ctx, r.client, options)
	if err != nil || len(r.options.policies) == 0 {
		return auditRules{now: now, notes: notes}, err
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
