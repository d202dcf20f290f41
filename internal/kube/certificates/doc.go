// Package certificates keeps the certificate that the doors serve with: an
// authority and a leaf in one Secret of the system namespace, which all replicas
// share, and which any of them makes, renews and mends.
//
// The Secret holds, as PEM:
//
//	tls.crt, tls.key   the leaf and its key
//	ca.crt             the authorities that callers are to trust, the newest first
//	ca.key             the keys of those that may still issue, the newest first
//
// The leaf is renewed at two thirds of its life. The authority is replaced at
// two thirds of its own in three steps, each one write, with an overlap between
// them, so that every leaf that any replica serves is trusted by every bundle
// that any caller has:
//
//  1. the new authority joins ca.crt; the old one still issues,
//  2. one overlap later the leaf is issued by the new authority,
//  3. one overlap after that the old authority leaves ca.crt.
//
// When a step was taken is read from the certificates themselves, so there is
// no state that could contradict them.
//
// An operator asks for more by an annotation on the Secret, which is removed
// when it has been followed:
//
//	bonafide.dev/rotate: leaf   a new leaf at once
//	bonafide.dev/rotate: ca     a new authority, in the three steps
//	bonafide.dev/rotate: now    a new authority alone at once, such as after its key
//	                            leaked: callers refuse us until they have its bundle
//
// Another value is refused by an Event and a line in the log, and stays.
//
// Clocks of replicas and of the API server may differ by a day: nobody refuses a
// certificate for that, and a rotation takes its time by each replica's clock. A
// replica whose clock is behind says so.
//
// A Secret that is deleted, or that no longer parses, is written again from
// memory; without one in memory, or with an expired one, anew: ever more slowly
// if that happens again and again. No key is ever logged (TRUST R47).
//
// It needs these rights in the system namespace:
//
//	secrets      create
//	secrets      get, list, watch, update   (resourceNames: the Secret)
//
// and in the cluster, only where the namespace does not exist yet:
//
//	namespaces   create
package certificates
