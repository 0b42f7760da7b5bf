// Package processtest starts real programs for tests: redis-server, mariadbd and the mpim binary itself.
//
// It promises four things. A program that Start returned is ready. It can be killed, stopped, paused and started again
// under the same address, as the fault tests need. It never outlives the test binary, however that one ends (on Linux; on
// other systems only a clean end is covered). And when something goes wrong the error carries the end of what the program
// printed, because a bare "did not become ready" helps nobody.
//
// The package is for Unix: it sends SIGSTOP and SIGCONT.
//
// # Design
//
// Ports are taken from below the range that the kernel hands out to outgoing connections. A test that kills a server and
// lets its clients reconnect would otherwise meet a client whose outgoing port happens to be the server's: TCP connects
// such a socket to itself, the client talks to its own echo, and the server cannot come back because its port is in use.
//
// The package stands at the top of the module, beside neither streams nor projections, because the test support of both
// uses it and projections must not import anything of streams.
package processtest
