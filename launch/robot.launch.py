"""The node with a robot, in a dry run unless dry_run:=false says otherwise.

    ros2 launch magma_vla robot.launch.py config_file:=/path/to/robot.yaml
    ros2 launch magma_vla robot.launch.py config_file:=... namespace:=left     # a second terminal: namespace:=right

With a namespace, every absolute topic, action and controller that robot.yaml names is looked for in that namespace
(/joint_states becomes /left/joint_states), so that one robot.yaml serves several equal robots.
Drivers and controllers are not started here: they belong to the robot.
"""

import os

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = get_package_share_directory('magma_vla')

# Keys of robot.yaml whose values are names of the ROS graph, and what is spoken under such a name: remappings match whole
# names, and an action is five of them.
ACTION = ('send_goal', 'cancel_goal', 'get_result', 'feedback', 'status')
NAMES = {
    'topic': ('',),
    'status': ('',),
    'action': ('', *(f'/_action/{part}' for part in ACTION)),
    'controller': ('', '/controller_state', '/get_parameters', '/list_parameters'),
}


def absolute_names(value):
    """Every absolute name that a parsed robot.yaml speaks under, once, in order."""
    found = []
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in NAMES and isinstance(inner, str) and inner.startswith('/'):
                found.extend(inner + part for part in NAMES[key])
            else:
                found.extend(absolute_names(inner))
    return list(dict.fromkeys(found))


def into_namespace(config_file, namespace):
    """Remappings that move the names of robot.yaml into a namespace; none without one."""
    space = namespace.strip('/')
    if not space:
        return []
    with open(config_file, encoding='utf-8') as file:
        names = absolute_names(yaml.safe_load(file))
    return [(name, f'/{space}{name}') for name in names]


def start(context):
    def argument(name):
        return LaunchConfiguration(name).perform(context)

    def parameter(name, kind):
        return ParameterValue(LaunchConfiguration(name), value_type=kind)

    config_file = os.path.abspath(argument('config_file'))
    use_sim_time = parameter('use_sim_time', bool)
    nodes = [
        Node(
            package='magma_vla',
            executable='node',
            name='magma_vla',
            namespace=argument('namespace'),
            output='screen',
            emulate_tty=True,
            remappings=into_namespace(config_file, argument('namespace')),
            arguments=['--ros-args', '--log-level', argument('log_level')],
            parameters=[
                {
                    'use_sim_time': use_sim_time,
                    'config_file': ParameterValue(config_file, value_type=str),
                    'model': parameter('model', str),
                    'provider': parameter('provider', str),
                    'threads': parameter('threads', int),
                    'statistics': parameter('statistics', str),
                    'allow_mismatch': parameter('allow_mismatch', bool),
                    'shadow_model': parameter('shadow_model', str),
                    'dry_run': parameter('dry_run', bool),
                    'autostart': parameter('autostart', bool),
                }
            ],
            # At SIGINT the node brings the arm to rest before it ends: it must not be killed in between.
            sigterm_timeout='15',
            sigkill_timeout='15',
        )
    ]
    if argument('viz') == 'rviz':
        nodes.append(
            Node(
                package='rviz2',
                executable='rviz2',
                namespace=argument('namespace'),
                arguments=['-d', os.path.join(SHARE, 'config', 'viz', 'magma_vla.rviz')],
                parameters=[{'use_sim_time': use_sim_time}],
            )
        )
    if argument('viz') == 'foxglove':
        # The layout to open in Foxglove or Lichtblick: config/viz/foxglove.json
        nodes.append(
            Node(
                package='foxglove_bridge',
                executable='foxglove_bridge',
                namespace=argument('namespace'),
                parameters=[{'use_sim_time': use_sim_time}],
            )
        )
    return nodes


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument('namespace', default_value='', description='of this robot'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', description='time from /clock instead of the system'
        ),
        DeclareLaunchArgument(
            'config_file',
            default_value=os.path.join(SHARE, 'config', 'sim.yaml'),
            description='robot.yaml of the robot',
        ),
        DeclareLaunchArgument(
            'model',
            default_value=os.path.join(SHARE, 'models', 'nano'),
            description='model folder, with its model.json',
        ),
        DeclareLaunchArgument(
            'provider',
            default_value='auto',
            choices=['auto', 'cuda', 'webgpu', 'cpu'],
            description='ONNX Runtime execution provider',
        ),
        DeclareLaunchArgument(
            'threads', default_value='1', description='within one operator of the model on the CPU'
        ),
        DeclareLaunchArgument(
            'statistics', default_value='', description="of the model's action statistics (default: the robot's own)"
        ),
        DeclareLaunchArgument(
            'allow_mismatch',
            default_value='false',
            choices=['true', 'false'],
            description='run a model on a robot it was not trained for: in a dry run, to see the data path work',
        ),
        DeclareLaunchArgument(
            'shadow_model',
            default_value='',
            description='a second model that predicts on the same stream and never commands',
        ),
        DeclareLaunchArgument(
            'dry_run',
            default_value='true',
            choices=['true', 'false'],
            description='true: nothing is commanded, verdicts are computed and shown',
        ),
        DeclareLaunchArgument(
            'autostart',
            default_value='true',
            choices=['true', 'false'],
            description='configure and activate by itself; false: ros2 lifecycle set',
        ),
        DeclareLaunchArgument('log_level', default_value='info', description='of the node'),
        DeclareLaunchArgument(
            'viz',
            default_value='none',
            choices=['none', 'rviz', 'foxglove'],
            description='rviz2, or foxglove_bridge for Foxglove and Lichtblick',
        ),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
