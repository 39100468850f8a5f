# probe ADDRESS SECONDS [PATH HOST]: 0 when the service answers. Rendered by adaf-pipeline, edits are lost.
# ADDRESS: host:port, or the path of a socket. With PATH it is asked by HTTP and has to answer 2xx, else connecting is
# enough. Perl, since every Debian image has it, and starts in milliseconds.
use strict;
use warnings;
use Socket;

my ($address, $seconds, $path, $host) = @ARGV;
sub fail { print "@_\n"; exit 1 }
$SIG{ALRM} = sub { fail("no answer within $seconds s") };
alarm($seconds);

my $to;
if ($address =~ m{^/}) {
    socket(LINK, PF_UNIX, SOCK_STREAM, 0) or fail("socket: $!");
    $to = pack_sockaddr_un($address);
} else {
    my ($name, $port) = $address =~ /^(.+):(\d+)$/ or fail("$address is no address");
    socket(LINK, PF_INET, SOCK_STREAM, getprotobyname('tcp') || 6) or fail("socket: $!");
    $to = pack_sockaddr_in($port, inet_aton($name) // fail("$name has no address"));
}
connect(LINK, $to) or fail("connect: $!");
exit 0 unless defined $path;

my $request = "GET $path HTTP/1.1\r\nHost: $host\r\nUser-Agent: adaf-probe\r\nConnection: close\r\n\r\n";
defined syswrite(LINK, $request) or fail("write: $!");
my $answer = <LINK> // fail('ended without an answer');
exit 0 if $answer =~ m{^HTTP/1\.[01] 2\d\d\b};
$answer =~ s/\s+$//;
fail($answer);
