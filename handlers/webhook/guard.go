package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"syscall"
)

// errPrivate says why an address is refused, and what to do.
var errPrivate = errors.New("is not public: set MPIM_WEBHOOK_ALLOW_PRIVATE to send there")

// reserved are networks that are not the public Internet, beside those that net/netip knows: this network, carriers' NAT,
// protocol assignments, documentation, benchmarks, 6to4 relays, what is reserved, translated addresses and discarded ones
// (https://www.iana.org/assignments/iana-ipv4-special-registry, iana-ipv6-special-registry).
var reserved = func() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
		"fec0::/10", "::/96",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}()

// public says whether an address can be that of a receiver outside.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
		return false
	}
	for _, network := range reserved {
		if network.Contains(a) {
			return false
		}
	}
	return true
}

// refusePrivate is the Control of a dialer: it sees the address that a name has led to, just before the connection is made,
// so that no name can lead elsewhere after it was looked at.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	if !public(at.Addr()) {
		return fmt.Errorf("address %s %w", at.Addr(), errPrivate)
	}
	return nil
}

// maxURL bounds the address of a receiver, in bytes.
const maxURL = 2048

// CheckURL refuses what is no address of a receiver. Where private addresses are not allowed it refuses those that are
// written as such; names are looked at when they are called.
func CheckURL(text string, allowPrivate bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxURL || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("%q is no address of a receiver: write https://host/path", text)
	case u.User != nil:
		return errors.New("the address has a user or password in it: receivers check the signature instead")
	case u.Fragment != "":
		return errors.New("the address has a fragment, which is never sent: leave out what is behind #")
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && !allowPrivate {
		if a, ok := netip.AddrFromSlice(ip); !ok || !public(a) {
			return fmt.Errorf("address %s %w", ip, errPrivate)
		}
	}
	return nil
}
