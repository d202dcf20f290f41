package certificates

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// maxTries bounds one look at the Secret: each lost race costs one, and only
	// as many can be lost in a row as there are replicas that write.
	maxTries = 10
	// requestTimeout bounds one look at the Secret, so that a silent API server
	// does not stop the ticks.
	requestTimeout = 30 * time.Second
)

// The reasons of Events about the Secret.
const (
	reasonIssued   = "CertificateIssued"
	reasonReplaced = "CertificateReplaced"
	reasonRefused  = "RotationRefused"
	reasonSkew     = "ClocksDiffer"
)

const managedBy = "app.kubernetes.io/managed-by"

// sync looks at the Secret once, takes the step that is due, and serves what the
// Secret then says.
func (k *Keeper) sync(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for range maxTries {
		done, err := k.try(ctx)
		if done || err != nil {
			return err
		}
	}
	return fmt.Errorf("expected to write within %d tries, but others write all the time", maxTries)
}

// try returns false, and no error, if another replica was faster.
func (k *Keeper) try(ctx context.Context) (bool, error) {
	secret, err := k.options.Client.Typed.CoreV1().Secrets(k.options.Namespace).Get(ctx, k.options.Secret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return k.create(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("read the Secret: %w", err)
	}
	return k.follow(ctx, secret)
}

// create writes the Secret as it was before it was deleted, or for the first
// time.
func (k *Keeper) create(ctx context.Context) (bool, error) {
	first := step{why: "there was no Secret"}
	if k.current.Load() != nil {
		first = step{why: "somebody deleted the Secret", repair: true}
	}
	s, err := k.restore(first)
	if err != nil {
		return false, err
	}
	if s.repair && k.repairs.wait(k.options.Now()) {
		return false, tooSoon(s)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.options.Namespace, Name: k.options.Secret, Labels: map[string]string{managedBy: "bonafide"}},
		Type:       corev1.SecretTypeTLS,
	}
	if secret.Data, err = s.to.data(); err != nil {
		return false, err
	}
	_, err = k.options.Client.Typed.CoreV1().Secrets(k.options.Namespace).Create(ctx, secret, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return false, nil
	case apierrors.IsNotFound(err):
		return false, k.createNamespace(ctx)
	case err != nil:
		return false, fmt.Errorf("create the Secret: %w", err)
	}
	k.take(ctx, s)
	return true, nil
}

func (k *Keeper) createNamespace(ctx context.Context) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: k.options.Namespace}}
	_, err := k.options.Client.Typed.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %q: %w", k.options.Namespace, err)
	}
	return nil
}

// follow takes the step that is due from a Secret that is there.
func (k *Keeper) follow(ctx context.Context, secret *corev1.Secret) (bool, error) {
	s, found, err := k.due(ctx, secret)
	if err != nil {
		return false, err
	}
	if s == nil {
		k.serve(ctx, found)
		return true, nil
	}
	if s.repair && k.repairs.wait(k.options.Now()) {
		k.serveAtLeast(ctx, found)
		return false, tooSoon(s)
	}
	changed := secret.DeepCopy()
	if changed.Data == nil {
		changed.Data = map[string][]byte{}
	}
	data, err := s.to.data()
	if err != nil {
		return false, err
	}
	maps.Copy(changed.Data, data)
	if s.done {
		delete(changed.Annotations, RotateAnnotation)
	}
	_, err = k.options.Client.Typed.CoreV1().Secrets(k.options.Namespace).Update(ctx, changed, metav1.UpdateOptions{})
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		k.serveAtLeast(ctx, found)
		return false, fmt.Errorf("update the Secret, since %s: %w", s.why, err)
	}
	k.take(ctx, s)
	return true, nil
}

// due is the step from what the Secret says, which is nil if that is nothing.
func (k *Keeper) due(ctx context.Context, secret *corev1.Secret) (*step, *content, error) {
	found, err := parse(secret.Data)
	if err != nil {
		s, restoreErr := k.restore(step{why: "the Secret could not be read: " + err.Error(), repair: true})
		return s, nil, restoreErr
	}
	asked, known := orderOf(secret.Annotations)
	if known {
		k.refused = ""
	} else {
		k.refuse(ctx, secret.Annotations[RotateAnnotation])
	}
	now := k.options.Now()
	s, err := found.next(moment{now: now, since: k.seen.see(found, now)}, k.lives, k.options.Hosts, asked)
	if err != nil || s == nil || !k.switches(found, s) || k.options.Spread == nil {
		return s, found, err
	}
	if err := k.options.Spread(ctx, found.bundle()); err != nil {
		k.serve(ctx, found)
		return nil, found, fmt.Errorf("wait with the new authority: %w", err)
	}
	return s, found, nil
}

// switches reports whether the step has a new authority issue for the first
// time while the old one's leaf still serves.
func (k *Keeper) switches(from *content, s *step) bool {
	newest := from.authorities[0]
	return !s.repair && !s.done && !from.leaf.isFrom(newest) && s.to.leaf.isFrom(newest)
}

// restore goes back to what is in memory if that can still be served, so that no
// caller notices, and else begins anew.
func (k *Keeper) restore(s step) (*step, error) {
	now := k.options.Now()
	if held := k.current.Load(); held != nil && held.leaf.validAt(now) && held.authorities[0].validAt(now) {
		s.to = held
		return &s, nil
	}
	return fresh(now, k.lives, k.options.Hosts, nil, s)
}

// tooSoon is the error of a repair that waits. It names the causes that there
// may be.
func tooSoon(s *step) error {
	return fmt.Errorf("wait with the next repair, though %s: somebody keeps changing the Secret, or the clocks of replicas differ by more than its certificates live", s.why)
}

// refuse says once that an order is none.
func (k *Keeper) refuse(ctx context.Context, value string) {
	message := fmt.Sprintf("nothing is rotated: expected the annotation %s to be %s, %s or %s, got %.64q", RotateAnnotation, orderLeaf, orderCA, orderNow, value)
	if message == k.refused {
		return
	}
	k.refused = message
	k.options.Log.WarnContext(ctx, message, "secret", k.name())
	k.event(ctx, corev1.EventTypeWarning, reasonRefused, message)
}

// take serves what was written, which this replica has seen thereby, and says
// so. A certificate's serial number and times are all that is told of it.
func (k *Keeper) take(ctx context.Context, s *step) {
	if s.repair {
		k.repairs.made(k.options.Now())
	}
	k.seen.see(s.to, k.options.Now())
	k.serve(ctx, s.to)
	leaf := s.to.leaf.certificate
	log, kind, reason := k.options.Log.InfoContext, corev1.EventTypeNormal, reasonIssued
	if s.repair {
		log, kind, reason = k.options.Log.WarnContext, corev1.EventTypeWarning, reasonReplaced
	}
	log(ctx, "wrote the certificate's Secret", "secret", k.name(), "why", s.why, "serial", leaf.SerialNumber.Text(16),
		"notAfter", leaf.NotAfter, "authorities", len(s.to.authorities))
	k.event(ctx, kind, reason, "written, since "+s.why)
}

func (k *Keeper) event(ctx context.Context, kind, reason, message string) {
	if k.options.Events == nil {
		return
	}
	about := corev1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: k.options.Namespace, Name: k.options.Secret}
	k.options.Events.Event(ctx, about, kind, reason, message)
}

// serve makes it the one that handshakes get.
func (k *Keeper) serve(ctx context.Context, c *content) {
	if c.equal(k.current.Load()) {
		return
	}
	k.current.Store(c)
	if ahead := c.leaf.issued().Sub(k.options.Now()); ahead >= aheadEnough {
		message := fmt.Sprintf("a replica whose clock is %s ahead of this one's made the certificate: look after the clocks of the nodes", ahead.Round(time.Minute))
		k.options.Log.WarnContext(ctx, message, "secret", k.name(), "serial", c.leaf.certificate.SerialNumber.Text(16))
		k.event(ctx, corev1.EventTypeWarning, reasonSkew, message)
	}
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// serveAtLeast serves what could be read if there is nothing better in memory.
func (k *Keeper) serveAtLeast(ctx context.Context, c *content) {
	if c != nil && k.current.Load() == nil {
		k.serve(ctx, c)
	}
}
