#!/usr/bin/perl
# tap-pump.pl DEVICE SOCKET: makes a TAP in this network namespace and pumps its frames to a unix stream socket and back,
# each behind its length (u32, big endian), as QEMU's -netdev stream does.
use strict;
use warnings;
use Fcntl qw(O_RDWR O_NONBLOCK F_SETFL);
use Errno qw(EAGAIN);
use Socket;

my ($device, $path) = @ARGV;
my ($TUNSETIFF, $IFF_TAP, $IFF_NO_PI) = (0x400454ca, 0x0002, 0x1000);
sysopen(my $tap, "/dev/net/tun", O_RDWR) or die "/dev/net/tun: $!\n";
ioctl($tap, $TUNSETIFF, pack("a16 S x22", $device, $IFF_TAP | $IFF_NO_PI)) or die "TUNSETIFF: $!\n";
socket(my $link, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
connect($link, pack_sockaddr_un($path)) or die "$path: $!\n";
fcntl($_, F_SETFL, O_NONBLOCK) or die "fcntl: $!\n" for $tap, $link;
setsockopt($link, SOL_SOCKET, SO_SNDBUF, 4 << 20);
setsockopt($link, SOL_SOCKET, SO_RCVBUF, 4 << 20);
$SIG{PIPE} = "IGNORE";
$| = 1;
print "up\n";

my ($out, $in) = ("", "");
my ($MOST, $frame) = (1 << 18, "");
while (1) {
  my ($read, $write) = ("", "");
  vec($read, fileno($tap), 1) = 1 if length($out) < $MOST;
  vec($read, fileno($link), 1) = 1;
  vec($write, fileno($link), 1) = 1 if length $out;
  select($read, $write, undef, undef) < 0 and die "select: $!\n";
  if (vec($read, fileno($tap), 1)) {
    for (1 .. 64) {
      my $length = sysread($tap, $frame, 65536);
      last unless $length;
      $out .= pack("N", $length) . $frame;
    }
  }
  if (length $out) {
    my $sent = syswrite($link, $out);
    if (defined $sent) { substr($out, 0, $sent, "") }
    elsif ($! != EAGAIN) { exit 0 }
  }
  if (vec($read, fileno($link), 1)) {
    my $length = sysread($link, $in, $MOST, length $in);
    exit 0 if defined $length && $length == 0;
    my $at = 0;
    while (length($in) - $at >= 4) {
      my $size = unpack("N", substr($in, $at, 4));
      last if length($in) - $at < 4 + $size;
      syswrite($tap, substr($in, $at + 4, $size));
      $at += 4 + $size;
    }
    substr($in, 0, $at, "") if $at;
  }
}
