// Package events writes core/v1 Events about what Bonafide did or saw. It is
// for people who look at an object: nothing is decided by an Event, so a
// recorder never blocks and never fails its caller, and drops what is too much.
//
// The same Event about the same object within a window is written once; the
// next one after it carries the count of those that were not. Callers put no
// secrets into messages (TRUST R47).
//
// It needs this right, in every namespace about whose objects Events are
// written, and in default for cluster-scoped objects:
//
//	events   create
package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

const (
	// DefaultWindow is how long the same Event is not repeated. An API server
	// keeps Events for an hour.
	DefaultWindow = 10 * time.Minute
	// maxQueue bounds the Events that wait for the API server.
	maxQueue = 256
	// maxKnown bounds what is remembered to drop repetitions.
	maxKnown = 4096
	// maxReason and maxMessage are the API server's bounds, in bytes.
	maxReason  = 128
	maxMessage = 1024
	// requestTimeout bounds one write, so that a silent API server delays the
	// queue, and what does not fit is dropped.
	requestTimeout = 10 * time.Second
)

// Options are what a [Recorder] needs.
type Options struct {
	Client    *kube.Client     // required
	Component string           // who reports, such as "bonafide"; required
	Instance  string           // which replica; may be empty
	Now       func() time.Time // required
	Log       *slog.Logger     // required
	Window    time.Duration    // zero: [DefaultWindow]
}

// A Recorder takes Events and writes them while Run runs. It is safe for
// concurrent use. The zero Recorder is not ready, but a nil one may be used and
// writes nothing.
type Recorder struct {
	options Options
	queue   chan corev1.Event

	mu      sync.Mutex
	known   map[key]*seen
	dropped int
}

type key struct {
	kind, reason, message               string
	group, object, namespace, name, uid string
}

// seen is when an Event was first seen in its window, and how often since it was
// written.
type seen struct {
	first time.Time
	more  int32
}

// New returns a recorder. It contacts nothing.
func New(o Options) (*Recorder, error) {
	if o.Client == nil || o.Component == "" || o.Now == nil || o.Log == nil {
		return nil, errors.New("events: expected a client, a component, a clock and a log")
	}
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	return &Recorder{options: o, queue: make(chan corev1.Event, maxQueue), known: map[key]*seen{}}, nil
}

// Event notes that something happened to the object about, which needs
// apiVersion, kind and name: kind is "Normal" or "Warning", reason in CamelCase.
// It returns at once; ctx is for the log alone, if the Event is dropped.
func (r *Recorder) Event(ctx context.Context, about corev1.ObjectReference, kind, reason, message string) {
	if r == nil {
		return
	}
	message = cut(message, maxMessage)
	now := r.options.Now()
	first, count, due := r.count(now, key{
		kind: kind, reason: reason, message: message,
		group: about.APIVersion, object: about.Kind, namespace: about.Namespace, name: about.Name, uid: string(about.UID),
	})
	if !due {
		return
	}
	namespace := about.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault // where Events about cluster-scoped objects live
	}
	event := corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: namespace, GenerateName: r.options.Component + "-"},
		InvolvedObject:      about,
		Type:                kind,
		Reason:              cut(reason, maxReason),
		Message:             message,
		Source:              corev1.EventSource{Component: r.options.Component, Host: r.options.Instance},
		FirstTimestamp:      metav1.NewTime(first),
		LastTimestamp:       metav1.NewTime(now),
		Count:               count,
		ReportingController: r.options.Component,
		ReportingInstance:   r.options.Instance,
	}
	select {
	case r.queue <- event:
	default:
		r.mu.Lock()
		r.dropped++
		dropped := r.dropped
		r.mu.Unlock()
		r.options.Log.WarnContext(ctx, "dropped an Event, since too many wait", "reason", event.Reason, "kind", about.Kind, "name", about.Name, "dropped", dropped)
	}
}

// count notes one more, and reports whether it is to be written.
func (r *Recorder) count(now time.Time, k key) (first time.Time, count int32, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, known := r.known[k]
	if known && now.Sub(s.first) < r.options.Window {
		s.more++
		return s.first, 0, false
	}
	first, count = now, 1
	if known {
		count += s.more
		if s.more > 0 {
			first = s.first
		}
	} else if len(r.known) >= maxKnown {
		r.forget(now)
	}
	r.known[k] = &seen{first: now}
	return first, count, true
}

// forget makes room: of those whose window is over, or else of any. A
// repetition more does no harm.
func (r *Recorder) forget(now time.Time) {
	for k, s := range r.known {
		if now.Sub(s.first) >= r.options.Window {
			delete(r.known, k)
		}
	}
	for k := range r.known {
		if len(r.known) < maxKnown {
			return
		}
		delete(r.known, k)
	}
}

// Run writes Events until ctx ends, and then those that wait, for a moment.
func (r *Recorder) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			r.drain(ctx)
			return
		case event := <-r.queue:
			r.write(context.WithoutCancel(ctx), event) // an end meanwhile does not lose it
		}
	}
}

// drainTimeout bounds the end of a replica.
const drainTimeout = 2 * time.Second

func (r *Recorder) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	for ctx.Err() == nil {
		select {
		case event := <-r.queue:
			r.write(ctx, event)
		default:
			return
		}
	}
}

func (r *Recorder) write(ctx context.Context, event corev1.Event) {
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := r.options.Client.Typed.CoreV1().Events(event.Namespace).Create(bounded, &event, metav1.CreateOptions{})
	if err != nil {
		r.options.Log.WarnContext(ctx, "cannot write an Event", "reason", event.Reason,
			"about", fmt.Sprintf("%s %s/%s", event.InvolvedObject.Kind, event.InvolvedObject.Namespace, event.InvolvedObject.Name), "error", err.Error())
	}
}

// cut bounds a text in bytes, at a rune's end.
func cut(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	end := limit - len("…")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
