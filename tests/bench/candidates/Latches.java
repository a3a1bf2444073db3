// Candidates of Curator's LeaderLatch. Arguments, orders and answers as in __init__.py. A latch that was closed cannot be
// used again, so each join is a new one.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.Locale;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;
import org.apache.curator.retry.RetryForever;

public final class Latches {
    private static final PrintStream OUT = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out));

    private static double now() {
        return System.nanoTime() / 1e9;
    }

    private static void tell(String what, int number, double at) {
        String line = String.format(Locale.ROOT, "%s %d %.9f%n", what, number, at);
        synchronized (OUT) {
            OUT.print(line);
            OUT.flush();
        }
    }

    private static LeaderLatch join(CuratorFramework client, String path, int number) throws Exception {
        LeaderLatch latch = new LeaderLatch(client, path, Integer.toString(number));
        latch.addListener(new LeaderLatchListener() {
            @Override
            public void isLeader() {
                tell("leads", number, now());
            }

            @Override
            public void notLeader() {
                // A latch that is closed does not call this: its listeners are removed by default.
                tell("ends", number, now());
            }
        });
        latch.start();
        return latch;
    }

    public static void main(String[] arguments) throws Exception {
        int timeout = (int) (Double.parseDouble(arguments[2]) * 1000);
        int count = Integer.parseInt(arguments[3]);
        boolean shared = java.util.Arrays.asList(arguments).contains("shared");
        boolean spread = java.util.Arrays.asList(arguments).contains("spread");
        String[] servers = arguments[0].split(",");
        CuratorFramework[] clients = new CuratorFramework[shared ? 1 : count];
        for (int i = 0; i < clients.length; i++) {
            String server = spread ? servers[i % servers.length] : arguments[0];
            clients[i] = CuratorFrameworkFactory.newClient(server, timeout, timeout, new RetryForever(200));
            clients[i].start();
        }
        for (CuratorFramework client : clients) {
            client.blockUntilConnected();
        }
        tell("ready", -1, now());
        LeaderLatch[] latches = new LeaderLatch[count];
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        String line;
        while ((line = in.readLine()) != null) {
            String[] words = line.trim().split(" ");
            if (words[0].equals("close")) {
                tell("closing", -1, now());
                for (CuratorFramework client : clients) {
                    client.close();
                }
                break;
            }
            int number = Integer.parseInt(words[1]);
            String path = arguments[1] + "/" + (shared ? "e" + number : "e0");
            CuratorFramework client = clients[shared ? 0 : number];
            if (words[0].equals("join")) {
                latches[number] = join(client, path, number);
                continue;
            }
            double at = now();
            latches[number].close();
            tell(words[0].equals("leave") ? "left" : "resigned", number, at);
            if (words[0].equals("resign")) {
                latches[number] = join(client, path, number);
            }
        }
        System.exit(0);
    }
}
